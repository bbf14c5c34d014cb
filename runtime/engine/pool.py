"""How many cells of the KV pool are in use, where sequences may share them.

llama.cpp knows, but does not tell. A sequence holds runs of cells, in order; a copy shares the runs it was made of,
and what is computed after that is a run of its own. Pure bookkeeping, in tokens.
"""

from __future__ import annotations

from itertools import count

import msgspec


class _Run(msgspec.Struct):
    """The first `length` cells of the run numbered `id`."""

    id: int
    length: int


class Pool:
    """The cells of `n_slots` sequences, all empty at first."""

    def __init__(self, n_slots: int) -> None:
        self._runs: list[list[_Run]] = [[] for _ in range(n_slots)]
        self._ids = count()
        self._open: list[_Run | None] = [None] * n_slots
        """The run of each sequence that goes on when it grows: its last, while that is neither cut nor shared."""

    @property
    def used(self) -> int:
        """Cells in use; those that several sequences hold count once."""
        longest: dict[int, int] = {}
        for runs in self._runs:
            for run in runs:
                longest[run.id] = max(run.length, longest.get(run.id, 0))
        return sum(longest.values())

    def grow(self, slot: int, n: int) -> None:
        """`n` new cells at the end of `slot`."""
        run = self._open[slot]
        if run is not None:
            run.length += n
        elif n:
            self._open[slot] = run = _Run(next(self._ids), n)
            self._runs[slot].append(run)

    def cut(self, slot: int, length: int) -> None:
        """Only the first `length` cells of `slot` are left to it."""
        runs = self._runs[slot]
        kept = _first(runs, length)
        if kept != runs:
            self._runs[slot] = kept
            self._open[slot] = None

    def copy(self, source: int, target: int, length: int) -> None:
        """`target` lets go of what it held and shares the first `length` cells of `source`."""
        self._runs[target] = _first(self._runs[source], length)
        self._open[target] = None


def _first(runs: list[_Run], length: int) -> list[_Run]:
    """The runs of the first `length` cells."""
    kept: list[_Run] = []
    for run in runs:
        if length <= 0:
            break
        kept.append(_Run(run.id, min(run.length, length)))
        length -= run.length
    return kept
