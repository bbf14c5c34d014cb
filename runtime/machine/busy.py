"""How busy the processors are that this process may use, and how much of that is its own.

Knows Linux's /proc/stat. Refuses to decide what follows from it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_WORKING = (0, 1, 2, 5, 6)
"""Columns of a processor's line: user, nice, system, irq, softirq (proc_stat(5)). What a hypervisor takes is not there:
giving way would not bring it back."""


class OthersWork:
    """How many processors others keep busy, from one call of `measure` to the next."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._lines = tuple(f"cpu{number}" for number in sorted(os.sched_getaffinity(0)))
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._last = self._now()

    def measure(self) -> float | None:
        """The mean since the last call, in processors; None where the system does not say, or nothing has passed."""
        before, self._last = self._last, self._now()
        busy, own, at = (now - then for now, then in zip(self._last, before, strict=True))
        if self._last[0] == 0 or at <= 0:
            return None
        return max(busy - own, 0.0) / at

    def _now(self) -> tuple[float, float, float]:
        """(seconds that the processors have worked, that this process has, seconds of the clock)."""
        return self._worked(), time.process_time(), time.monotonic()

    def _worked(self) -> float:
        """0 where nobody says."""
        try:
            text = self._stat.read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0.0
        ticks = 0
        for line in text.splitlines():
            name, *columns = line.split() or [""]
            if name in self._lines:
                ticks += sum(int(columns[column]) for column in _WORKING if column < len(columns))
        return ticks / self._ticks
