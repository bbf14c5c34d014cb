"""Importance matrices: taken in both of their formats, asked for where they are needed, refused where they are none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bundler.errors import ImportanceMissing, ImportanceUnusable
from bundler.gguf import read_gguf
from bundler.quantizing import quantize as quantizing
from support.ggufs import gguf_bytes
from support.importances import Entry, Floats, gguf_matrix, legacy_matrix
from support.quantizing import ENTRIES, made, manifest_of, weights_of


def test_importance_in_both_formats(half: Path, target: Path, tmp_path: Path) -> None:
    made(half, target, "IQ3_S")
    without = weights_of(target)
    matrices = {"m.dat": legacy_matrix(ENTRIES), "m.gguf": gguf_matrix(ENTRIES)}
    found = []
    for name, content in matrices.items():
        (tmp_path / name).write_bytes(content)
        made(half, target, "IQ3_S", importance=tmp_path / name)
        found.append(weights_of(target))
    assert found[0] == found[1] != without
    made(half, target, "IQ2_XXS", importance=tmp_path / "m.gguf")
    assert manifest_of(target).models[0].quantization == "IQ2_XXS"


def test_importance_is_asked_for_where_it_is_needed(half: Path, target: Path, tmp_path: Path) -> None:
    for file_type in ("IQ2_XXS", "IQ1_S", "Q2_K_S"):
        with pytest.raises(ImportanceMissing) as raised:
            made(half, target, file_type)
        assert "--imatrix" in raised.value.hint
    (tmp_path / "m.dat").write_bytes(legacy_matrix([entry for entry in ENTRIES if "ffn_up" not in entry.name]))
    with pytest.raises(ImportanceMissing) as raised:
        made(half, target, "IQ2_XXS", importance=tmp_path / "m.dat")
    assert raised.value.tensor == "blk.0.ffn_up.weight"
    assert list(target.parent.iterdir()) == []


GOOD = ENTRIES[0]
MISFIT = gguf_bytes({}, [Floats("x.in_sum2", (2, 2), values=[1.0] * 4), Floats("x.counts", (3,), values=[1.0] * 3)])
UNUSABLE: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "as llama-imatrix writes"),
    ("a text", b"# What is this?\n", "as llama-imatrix writes"),
    ("no entries", struct.pack("<i", 0), "as llama-imatrix writes"),
    ("fewer entries than it says", struct.pack("<i", 2) + legacy_matrix([GOOD])[4:], "cut short"),
    ("cut in a name", legacy_matrix([GOOD])[:14], "cut short"),
    ("cut in the numbers", legacy_matrix([GOOD])[:-100], "cut short"),
    ("a name without an end", struct.pack("<ii", 1, 2**31 - 1), "as llama-imatrix writes"),
    ("a negative length", struct.pack("<ii", 1, -1), "as llama-imatrix writes"),
    ("of another size", legacy_matrix([Entry(GOOD.name, 128, [4.0])]), "128 numbers for"),
    ("of another model", legacy_matrix([Entry("blk.7.attn_q.weight", 256, [4.0])]), "nothing for any tensor"),
    ("not a number", legacy_matrix([Entry(GOOD.name, 256, [4.0], float("nan"))]), "are no numbers"),
    ("endless", gguf_matrix([Entry(GOOD.name, 256, [4.0], float("inf"))]), "are no numbers"),
    ("a GGUF of another kind", gguf_matrix([GOOD]).replace(b".in_sum2", b".in_sum3"), "nothing for any tensor"),
    ("without counts", gguf_matrix([GOOD]).replace(b".counts", b".xounts"), "as llama-imatrix writes"),
    ("counts that do not fit", MISFIT, "do not fit"),
]


@pytest.mark.parametrize(("content", "says"), [row[1:] for row in UNUSABLE], ids=[row[0] for row in UNUSABLE])
def test_what_is_no_importance_matrix(half: Path, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.dat"
    path.write_bytes(content)
    with pytest.raises(ImportanceUnusable) as raised, (tmp_path / "means").open("wb") as file:
        quantizing.write_means(path, quantizing.sizes_wanted(read_gguf(half)), file)
    assert says in raised.value.problem


def test_experts_that_were_never_used_count_like_others(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_matrix([Entry("x", 2, [4.0, 0.0])]))
    with (tmp_path / "means").open("w+b") as file:
        assert quantizing.write_means(path, {"x": 4}, file) == (("x", 4),)
        file.seek(0)
        assert struct.unpack("<4f", file.read()) == (1.0, 2.0, 1.0, 1.0)
