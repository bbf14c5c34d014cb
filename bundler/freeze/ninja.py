"""How far a compilation is, as Ninja says it. Refuses to know what is compiled."""

from __future__ import annotations

import re
from contextlib import ExitStack

from bundler.progress import Advance, Progress

_NINJA_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]")


def ninja_step(line: str) -> tuple[int, int] | None:
    """How far ninja is, (steps done, steps in all), when `line` of its output says so."""
    match = _NINJA_STEP.match(line)
    return (int(match[1]), int(match[2])) if match else None


class NinjaProgress:
    """Opens a bar named `title` with ninja's first `[n/m]` line, and moves it with the others.

    A build within the build, as CMake's external projects are, counts for itself: the largest is the one that is shown.
    """

    def __init__(self, title: str, progress: Progress, bars: ExitStack) -> None:
        self._title = title
        self._progress = progress
        self._bars = bars
        self._advance: Advance | None = None
        self._done = self._total = 0

    def __call__(self, line: str) -> None:
        step = ninja_step(line)
        if step is None or step[1] < self._total:
            return
        done, total = step
        if self._advance is None or total > self._total:
            self._bars.close()
            bar = self._progress.step(self._title, total, "steps")
            self._advance = self._bars.enter_context(bar)
            self._done, self._total = 0, total
        self._advance(done - self._done)
        self._done = done
