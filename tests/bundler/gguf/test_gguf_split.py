"""Finding and joining the parts of a split GGUF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundler.errors import MismatchedParts, MissingParts, NotFirstPart, SplitError
from bundler.file.content import Content, FileRange, Inline, content_size
from bundler.gguf import find_parts, plan_merge, read_gguf, read_weights, weights_content
from support.ggufs import INT32, LLAMA, STRING, TENSORS, TensorSpec, Typed, gguf_bytes, write_gguf, write_split

PARTS = (TENSORS[:1], TENSORS[1:3], TENSORS[3:])


def written(content: Content) -> bytes:
    """What the archive would write."""
    data = b""
    for piece in content:
        match piece:
            case Inline():
                data += piece.data
            case FileRange():
                data += piece.path.read_bytes()[piece.offset :][: piece.size]
    assert len(data) == content_size(content)
    return data


def test_a_whole_file_is_itself(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes() + b"bytes after the last tensor")
    gguf, content = read_weights(path)
    assert content == (FileRange(path, 0, path.stat().st_size),)
    assert gguf == read_gguf(path)


@pytest.mark.parametrize("alignment", [1, 32, 256])
def test_joined_parts_are_the_file_that_was_split(tmp_path: Path, alignment: int) -> None:
    paths = write_split(tmp_path / "m", PARTS, alignment=alignment)
    _, content = read_weights(paths[0])
    # The parts state a custom alignment after the split keys; only the order of keys may differ.
    assert written(content) == gguf_bytes(LLAMA, TENSORS, alignment=alignment)


@pytest.mark.parametrize("parts", [PARTS, ((), TENSORS), (TENSORS, ()), ((), ()), (TENSORS[:2], (), TENSORS[2:])])
def test_the_merged_header_is_what_reading_the_result_gives(
    tmp_path: Path, parts: Sequence[Sequence[TensorSpec]]
) -> None:
    metadata = {**LLAMA, "general.author": Typed(STRING, b"\xff broken"), "split.other": 1}
    merged, content = read_weights(write_split(tmp_path / "m", parts, metadata)[0])
    result = tmp_path / "merged.gguf"
    result.write_bytes(written(content))
    assert read_gguf(result) == replace(merged, path=result)
    assert written(content) == gguf_bytes(metadata, [tensor for part in parts for tensor in part])


def test_split_keys_in_the_middle_of_the_metadata(tmp_path: Path) -> None:
    items = list(LLAMA.items())
    first, second = write_split(tmp_path / "m", (TENSORS[:2], TENSORS[2:]))
    split = {"split.no": Typed(2, 0), "split.tensors.count": Typed(INT32, 4), "split.count": Typed(2, 2)}
    write_gguf(first, {**dict(items[:3]), **split, **dict(items[3:])}, TENSORS[:2])
    _, content = plan_merge([read_gguf(first), read_gguf(second)])
    assert written(content) == gguf_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(0, 70), max_size=4), min_size=2, max_size=5),
    st.sampled_from([1, 8, 32, 128]),
)
def test_any_split_joins(tmp_path: Path, sizes: list[list[int]], alignment: int) -> None:
    parts = [[TensorSpec(f"t{i}.{j}", (n,)) for j, n in enumerate(part)] for i, part in enumerate(sizes)]
    _, content = read_weights(write_split(tmp_path / "m", parts, alignment=alignment)[0])
    everything = [tensor for part in parts for tensor in part]
    assert written(content) == gguf_bytes(LLAMA, everything, alignment=alignment)


def test_no_weights_are_held_in_memory(tmp_path: Path) -> None:
    big = TensorSpec("big", (1 << 20,))
    _, content = read_weights(write_split(tmp_path / "m", ((big,), TENSORS))[0])
    assert sum(piece.size for piece in content if isinstance(piece, Inline)) < 1000


def test_the_summary_of_a_split_is_that_of_the_whole(tmp_path: Path) -> None:
    metadata = {key: item for key, item in LLAMA.items() if key != "general.name"}
    split, _ = weights_content(write_split(tmp_path / "m", PARTS, metadata)[0])
    whole, _ = weights_content(write_gguf(tmp_path / "m.gguf", metadata))
    assert split == whole
    assert split.name == "m"


def test_missing_parts_are_named(tmp_path: Path) -> None:
    paths = write_split(tmp_path / "m", PARTS)
    paths[1].unlink()
    with pytest.raises(MissingParts, match=re.escape("m-00002-of-00003.gguf")) as caught:
        find_parts(paths[0])
    assert caught.value.missing == (paths[1],)


def test_tens_of_thousands_of_missing_parts_make_a_short_message(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m-00001-of-20000.gguf")
    with pytest.raises(MissingParts, match="and 19,996 more") as caught:
        find_parts(path)
    assert len(caught.value.message) < 500


def test_a_later_part_names_the_first(tmp_path: Path) -> None:
    paths = write_split(tmp_path / "m", PARTS)
    with pytest.raises(NotFirstPart) as caught:
        find_parts(paths[2])
    assert caught.value.first == paths[0]


@pytest.mark.parametrize("name", ["m.gguf", "m-00001-of-00001.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf"])
def test_names_that_are_not_of_a_split(tmp_path: Path, name: str) -> None:
    assert find_parts(tmp_path / name) == (tmp_path / name,)


def test_a_renamed_part_is_recognized(tmp_path: Path) -> None:
    first = write_split(tmp_path / "m", PARTS)[0]
    with pytest.raises(MismatchedParts, match="one of 3"):
        read_weights(first.rename(tmp_path / "renamed.gguf"))


def _keys(number: int, count: int, tensors: int) -> dict[str, Typed]:
    return {
        "split.no": Typed(2, number),
        "split.count": Typed(2, count),
        "split.tensors.count": Typed(INT32, tensors),
    }


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (gguf_bytes({}, TENSORS[:2]), gguf_bytes(_keys(1, 2, 4), TENSORS[2:]), "no metadata key 'split.no'"),
        (gguf_bytes(_keys(0, 2, 4), TENSORS[:2]), gguf_bytes({}, TENSORS[2:]), "no metadata key 'split.no'"),
        (
            gguf_bytes(_keys(0, 3, 4), TENSORS[:2]),
            gguf_bytes(_keys(1, 3, 4), TENSORS[2:]),
            "'split.count' is 3",
        ),
        (gguf_bytes(_keys(0, 2, 4), TENSORS[:2]), gguf_bytes(_keys(0, 2, 4), TENSORS[2:]), "'split.no' is 0"),
        (gguf_bytes(_keys(0, 2, 5), TENSORS[:2]), gguf_bytes(_keys(1, 2, 5), TENSORS[2:]), "count' is 5"),
        (
            gguf_bytes(_keys(0, 2, 4), TENSORS[:2]),
            gguf_bytes(_keys(1, 2, 4), TENSORS[1:3]),
            "also in an earlier",
        ),
        (
            gguf_bytes(_keys(0, 2, 4), TENSORS[:2]),
            gguf_bytes(_keys(1, 2, 4), TENSORS[2:], alignment=64),
            "alignment is 64",
        ),
        (
            gguf_bytes(_keys(0, 2, 4), TENSORS[:2]),
            gguf_bytes(_keys(1, 2, 4), TENSORS[2:], version=2),
            "version is 2",
        ),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, first: bytes, second: bytes, says: str) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    path.write_bytes(first)
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(second)
    with pytest.raises(SplitError, match=says) as caught:
        read_weights(path)
    assert caught.value.hint
