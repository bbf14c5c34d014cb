"""How many threads compute: all there are, fewer while others need the processors.

Threads that compute together wait for each other at every matrix. One of them that waits for a processor costs all of
them that time, so another busy process costs not its share but most of the speed: measured with 135 M parameters on two
processors beside one busy process, 14 tokens a second with two threads and 31 with one, of 57 alone.

Pure policy: no llama.cpp, no clock, no /proc. What to do with the number, the contexts know.
"""

from __future__ import annotations

from collections.abc import Callable

WINDOW = 0.25
"""Seconds of computing between two decisions: some steps of a large model, many of a small one."""

_LOST = 0.25
"""Processors' worth that a team may lose to others before it gets smaller: what daemons take is not worth a thread."""


class Team:
    """`size` threads of `most` compute. `others` says how many processors others kept busy since it was asked last.

    It is None for a team that never gives way, and says None where nobody knows: then the team stays as it is.
    """

    def __init__(self, most: int, others: Callable[[], float | None] | None) -> None:
        self.most = most
        self.size = most
        self._others = others
        self._seconds = 0.0
        self._worked = 0.0

    @property
    def is_fixed(self) -> bool:
        """Whether it never gives way: then nobody need measure its steps."""
        return self._others is None or self.most == 1

    def note(self, seconds: float, worked: float) -> None:
        """A step took `seconds`, and this process `worked` so many seconds of processors in them."""
        self._seconds += seconds
        self._worked += worked
        if self._others is None or self.is_fixed or self._seconds < WINDOW:
            return
        got = self._worked / self._seconds
        self._seconds = self._worked = 0.0
        others = self._others()
        if others is not None:
            self.size = self._fitting(got, others)

    def _fitting(self, got: float, others: float) -> int:
        """The size for a time in which the team got `got` processors and others had `others`."""
        if got < self.size - _LOST and others > _LOST:
            return max(1, min(self.size - 1, int(got + _LOST)))
        left = int(self.most - others + _LOST)
        return max(self.size, min(self.most, left))
