"""Several steps at the same time: that they are, that all end with the first that fails, and what is shown of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest

from bundler.freeze.at_once import at_once, one_line
from bundler.freeze.process import CommandFailed, run
from bundler.progress import Progress, SilentProgress
from support.waiting import wait_until


def test_they_do_not_wait_for_each_other() -> None:
    met = Barrier(3)
    at_once(*([lambda: met.wait(20)] * 3))


@pytest.mark.parametrize("ends", [KeyboardInterrupt, ValueError])
def test_when_one_fails_the_others_are_ended(tmp_path: Path, ends: type[BaseException]) -> None:
    started = tmp_path / "started"
    outcomes: list[object] = []

    def long() -> None:
        try:
            run(["sh", "-c", f"echo $$ > {started}; exec sleep 60"], log=tmp_path / "log", env=os.environ)
        except CommandFailed as error:
            outcomes.append(error)
            run(["touch", tmp_path / "more"], log=tmp_path / "log", env=os.environ)

    def fails() -> None:
        wait_until(started.exists, 20)
        raise ends

    with pytest.raises(ends):
        at_once(long, fails)
    assert len(outcomes) == 1
    assert not (tmp_path / "more").exists(), "nothing else is begun"
    run(["touch", tmp_path / "later"], log=tmp_path / "log", env=os.environ)
    assert (tmp_path / "later").exists(), "but it is afterwards"


class Line(SilentProgress):
    """Notes how much of the whole has been told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    @contextmanager
    def step(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            assert amount >= 0, "a line never goes back"
            done += amount
            self.told.append(round(done / (total or 1), 2))

        yield advance


PHASES = ({"compile": 60.0, "install": 20.0}, {"freeze": 20.0})


def shown(does: Callable[[Progress], None]) -> list[float]:
    line = Line()
    with one_line("all", PHASES, line) as progress:
        does(progress)
    return line.told


def test_each_step_counts_for_as_long_as_it_takes() -> None:
    def does(progress: Progress) -> None:
        with progress.step("compile", 2, "steps") as compiled, progress.step("install", None, "steps") as installed:
            compiled(1)
            installed(1)
        with progress.step("freeze", None, "steps"):
            pass

    assert shown(does) == [0.3, 0.5, 0.8, 1.0]


def test_what_is_there_already_does_not_count() -> None:
    def does(progress: Progress) -> None:
        with progress.step("install", 2, "steps") as installed:
            installed(1)
        with progress.step("freeze", 4, "steps") as frozen:
            frozen(2)
        with progress.step("nobody knows", None, "steps"):
            pass

    assert shown(does) == [0.1, 0.2, 0.75, 1.0, 1.0]
