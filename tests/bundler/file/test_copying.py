"""Moving bytes between files: the same bytes and digests whatever way they go, and shared blocks where there can be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.errors import SourceChanged
from bundler.file import copying, digests
from bundler.file.content import Content, FileRange, Inline
from bundler.file.copying import Digests, copy, transfer
from bundler.file.digests import recall, remember
from support.bundles import loaf

DATA = os.urandom(300_000)


def nothing(_amount: int) -> None:
    pass


def written(content: Content, target: Path, *, offset: int = 0, known: Digests | None = None) -> tuple[Digests, bytes]:
    with target.open("w+b") as file:
        done = copy(content, file.fileno(), offset, nothing, known)
        file.seek(offset)
        return done, file.read()


@settings(deadline=None)  # a disk that is busy with other files lets one wait for seconds
@given(
    pieces=st.lists(st.one_of(st.binary(max_size=50), st.tuples(st.integers(0, 9000), st.integers(0, 9000)))),
    offset=st.integers(0, 10_000),
    is_known=st.booleans(),
)
def test_any_pieces_give_their_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes | tuple[int, int]],
    offset: int,
    is_known: bool,
) -> None:
    folder = tmp_path_factory.mktemp("copy")
    source = folder / "source"
    source.write_bytes(DATA)
    content = tuple(Inline(p) if isinstance(p, bytes) else FileRange(source, *p) for p in pieces)
    expected = b"".join(p if isinstance(p, bytes) else DATA[p[0] : p[0] + p[1]] for p in pieces)
    right = Digests(hashlib.sha256(expected).hexdigest(), zlib.crc32(expected))
    done, data = written(content, folder / "target", offset=offset, known=right if is_known else None)
    assert (done, data) == (right, expected)
    shutil.rmtree(folder)


def test_what_is_told_adds_up(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    for known in (None, Digests("", 0)):
        told: list[int] = []
        with (tmp_path / "target").open("w+b") as file:
            copy((Inline(b"abc"), FileRange(source, 5, 200_000)), file.fileno(), 0, told.append, known)
        assert sum(told) == 200_003


@pytest.mark.parametrize("known", [None, Digests("", 0)])
def test_a_file_that_is_too_short(tmp_path: Path, known: Digests | None) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    with pytest.raises(SourceChanged):
        written((FileRange(source, 0, len(DATA) + 1),), tmp_path / "target", known=known)


@pytest.mark.parametrize("known", [None, Digests("", 0)])
def test_a_file_that_is_written_to_meanwhile(tmp_path: Path, known: Digests | None) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)

    def disturb(_amount: int) -> None:
        os.utime(source, ns=(1, time.time_ns()))

    with (tmp_path / "target").open("w+b") as file, pytest.raises(SourceChanged):
        copy((FileRange(source, 0, len(DATA)),), file.fileno(), 0, disturb, known)


def test_digests_are_of_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a file is changed behind the copying, and nothing of its times tells it."""
    source, kernel = tmp_path / "source", os.copy_file_range
    source.write_bytes(DATA)
    before = source.stat()

    def change_what_was_copied(*arguments: int) -> int:
        copied = kernel(*arguments)
        source.write_bytes(bytes(len(DATA)))
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
        return copied

    monkeypatch.setattr(copying.os, "copy_file_range", change_what_was_copied)
    digests, data = written((FileRange(source, 0, len(DATA)),), tmp_path / "target")
    assert data == DATA
    assert digests == Digests(hashlib.sha256(DATA).hexdigest(), zlib.crc32(DATA))


def test_a_kernel_that_copies_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = os.copy_file_range
    monkeypatch.setattr(
        copying.os, "copy_file_range", lambda a, b, size, *places: kernel(a, b, min(size, 70_001), *places)
    )
    monkeypatch.setattr(copying, "_PIECE", 150_000)
    source = tmp_path / "source"
    source.write_bytes(DATA)
    digests, data = written((Inline(b"abc"), FileRange(source, 1, len(DATA) - 1)), tmp_path / "target", offset=5)
    assert data == b"abc" + DATA[1:]
    assert digests == Digests(hashlib.sha256(data).hexdigest(), zlib.crc32(data))


def test_a_kernel_that_cannot_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(copying.os, "copy_file_range", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(DATA)
    with target.open("w+b") as file:
        transfer((FileRange(source, 1, 100_000),), file.fileno(), 7, nothing)
    assert target.read_bytes()[7:] == DATA[1:100_001]


# -- what is remembered ---------------------------------------------------------------------------------------


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Content:
    """A file that has not been changed for a while."""
    monkeypatch.setenv("LOAF_BUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", -1.0)
    source = tmp_path / "source"
    source.write_bytes(DATA)
    return (FileRange(source, 0, len(DATA)),)


def test_a_file_is_known_until_it_changes(settled: Content, tmp_path: Path) -> None:
    assert recall(settled) is None
    remember(settled, Digests("aa", 1))
    assert recall(settled) == Digests("aa", 1)
    assert recall((FileRange(tmp_path / "source", 0, 5),)) is None
    (tmp_path / "source").write_bytes(DATA)
    assert recall(settled) is None


def test_a_file_that_may_still_change_is_not_remembered(
    settled: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", 1000.0)
    remember(settled, Digests("aa", 1))
    assert not (tmp_path / "cache").exists()


def test_a_damaged_memory_is_no_memory(settled: Content, tmp_path: Path) -> None:
    remember(settled, Digests("aa", 1))
    (tmp_path / "cache" / "digests.json").write_bytes(b"{")
    assert recall(settled) is None
    remember(settled, Digests("bb", 2))
    assert recall(settled) == Digests("bb", 2)


@pytest.mark.usefixtures("settled")
def test_it_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST", 3)
    for size in range(10):
        remember((FileRange(tmp_path / "source", 0, size),), Digests("aa", size))
    assert recall((FileRange(tmp_path / "source", 0, 9),)) == Digests("aa", 9)
    assert recall((FileRange(tmp_path / "source", 0, 2),)) is None


def test_a_second_build_of_the_same_file_is_the_same(tmp_path: Path, demo_gguf: Path) -> None:
    weights = tmp_path / "w.gguf"
    weights.write_bytes(demo_gguf.read_bytes())
    os.utime(weights, (1, 1))
    bundles = [tmp_path / "1.loaf", tmp_path / "2.loaf"]
    for bundle in bundles:
        loaf("build", str(weights), "-o", str(bundle), check=True)
    assert bundles[0].read_bytes() == bundles[1].read_bytes()
    loaf("verify", str(bundles[1]), check=True)


# -- shared blocks --------------------------------------------------------------------------------------------


@pytest.fixture(params=["xfs", "btrfs"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that can keep one copy for two files."""
    maker = shutil.which(f"mkfs.{request.param}")
    if maker is None:
        pytest.skip(f"needs mkfs.{request.param}: install the packages xfsprogs and btrfs-progs")
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    image, folder = tmp_path / "image", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(400_000_000)
    subprocess.run([maker, "-q", str(image)], check=True, capture_output=True)
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_bundle_shares_its_weights_with_their_file(sharing: Path, demo_gguf: Path) -> None:
    weights = sharing / "w.gguf"
    weights.write_bytes(demo_gguf.read_bytes())
    os.sync()
    for folder in (sharing / "big", sharing / "out"):
        folder.mkdir()
    bundle = sharing / "big" / "b.loaf"
    used = _shared_bytes(weights)
    loaf("build", str(weights), "-o", str(bundle), check=True)
    loaf("verify", str(bundle), check=True)
    os.sync()
    assert used == 0
    assert _shared_bytes(weights) > 0.95 * weights.stat().st_size
    loaf("set", str(bundle), "--system", "Be brief.", check=True)
    loaf("verify", str(bundle), check=True)
    os.sync()
    assert _shared_bytes(weights) > 0.95 * weights.stat().st_size, "a change leaves them as they are"
    loaf("extract", str(bundle), "-o", str(sharing / "out"), check=True)
    os.sync()
    taken = sharing / "out" / "models" / "w.gguf"
    assert taken.read_bytes() == weights.read_bytes()
    assert _shared_bytes(taken) > 0.95 * weights.stat().st_size


def _shared_bytes(path: Path) -> int:
    """As `filefrag` tells which extents are shared."""
    shown = subprocess.run(["filefrag", "-b1", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    rows = [line.split(":") for line in shown.splitlines() if "shared" in line]
    return sum(int(row[3]) for row in rows)
