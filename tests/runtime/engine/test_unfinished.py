"""Files that are whole or not there: written by several at once, and by processes that were killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine.unfinished import remove_unfinished, whole_file


def write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a[1].state") as file:
        file.write(b"one")
        assert not (tmp_path / "a[1].state").exists()
    assert (tmp_path / "a[1].state").read_bytes() == b"one"
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a[1].state"):
        1 / 0  # noqa: B018
    assert names(tmp_path) == ["a[1].state"]
    assert (tmp_path / "a[1].state").read_bytes() == b"one"


def test_two_at_once_are_both_whole(tmp_path: Path) -> None:
    """The one that ends last stays, and neither removes what the other has not finished."""
    with whole_file(tmp_path / "x.state") as first:
        first.write(b"first")
        write(tmp_path / "x.state", b"second")
        remove_unfinished(tmp_path, "*.state")
        assert len(names(tmp_path)) == 2
    assert (tmp_path / "x.state").read_bytes() == b"first"
    assert names(tmp_path) == ["x.state"]


def tidied(folder: Path) -> None:
    remove_unfinished(folder, "*.state")


def written_again(folder: Path) -> None:
    write(folder / "x.state", b"")


@pytest.mark.parametrize("tidy", [tidied, written_again])
def test_what_a_killed_process_was_writing_goes(tmp_path: Path, tidy: Callable[[Path], None]) -> None:
    (tmp_path / ".notes.part").touch()
    reading, writing = os.pipe()

    def begin() -> None:
        with whole_file(tmp_path / "x.state"):
            os.write(writing, b"!")
            signal.pause()

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    os.read(reading, 1)
    tidy(tmp_path)
    assert len([name for name in names(tmp_path) if name.startswith(".x.state.")]) == 1, "it is still written"
    process.kill()
    process.join()
    tidy(tmp_path)
    assert {*names(tmp_path)} <= {".notes.part", "x.state"}
