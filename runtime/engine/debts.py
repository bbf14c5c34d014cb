"""Who has held the others up sits out while they go on: a grammar may take longer to choose a token than all of a step.

Pure arithmetic, in seconds. Refuses to know what took so long, and what goes into a batch (`scheduler.py`).
"""

from __future__ import annotations

from runtime.engine.sequence import Sequence

SLIGHT = 0.002
"""Seconds that nobody is held to: what many streams at once take besides."""

_TWICE = 2
"""Times as long as they have waited, the others go on alone: nobody waits more than half as long again on the whole."""


class Debts:
    """What sequences owe to the others."""

    def __init__(self) -> None:
        self._owed: dict[Sequence, float] = {}

    def took(self, sequence: Sequence, seconds: float) -> bool:
        """The others have waited so long for the token of `sequence`; returns whether it owes them something for it."""
        if seconds <= SLIGHT:
            return False
        self._owed[sequence] = self._owed.get(sequence, 0.0) + _TWICE * seconds
        return True

    def paid(self, seconds: float) -> None:
        """The others have gone on alone for so long."""
        self._owed = {sequence: owed - seconds for sequence, owed in self._owed.items() if owed > seconds}

    def free(self, running: list[Sequence]) -> list[Sequence]:
        """Of `running` those that owe nothing; all of them where there is nobody to owe anything to.

        Who runs no more owes nothing more.
        """
        if not self._owed:
            return running
        self._owed = {sequence: owed for sequence, owed in self._owed.items() if sequence in running}
        free = [sequence for sequence in running if sequence not in self._owed]
        if not free:
            self._owed.clear()
        return free or running
