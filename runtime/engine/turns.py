"""Whose turn it is: slots are shared among those who ask, however many answers each of them wants; and who may wait.

Pure policy. Refuses to know what an asker is: a connection, or the holder of a key; and what an origin is, from which
many may ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

Asker = Hashable
Origin = Hashable

_REMEMBERED = 1024
"""Askers: as many as there are connections."""


class Turns:
    """Remembers who was given something last."""

    def __init__(self) -> None:
        self._given: dict[Asker, int] = {}
        self._count = 0

    def next_of(self, waiting: Iterable[Asker], running: Counter[Asker]) -> Asker:
        """Who of `waiting`, in order of arrival, is next: who has the fewest running, then who was served longest ago.

        There must be somebody.
        """
        return min(waiting, key=lambda asker: (running[asker], self._given.get(asker, -1)))

    def give(self, asker: Asker) -> None:
        """`asker` has got what was to be given."""
        self._given.pop(asker, None)
        self._given[asker] = self._count
        self._count += 1
        if len(self._given) > _REMEMBERED:
            del self._given[next(iter(self._given))]


def may_wait(own: int, waiting: int, most: int) -> bool:
    """Whether one more of an origin may join the `waiting`, of which `own` are its: while it leaves at least as many
    places free as it has taken. So one alone gets half of the `most` places, and the next half of the rest.

    It is the rule of Choudhury and Hahne, "Dynamic Queue Length Thresholds in a Shared Memory ATM Switch", 1996, with
    a factor of 1.
    """
    return own < most - waiting


def gives_way(waiting: Iterable[Asker], running: Counter[Asker]) -> Asker | None:
    """Who has to give up one of the slots, all of which are taken: who has most, and more than one, where somebody of
    `waiting` has none. Nobody, where all have their share.
    """
    if not running or all(running[asker] for asker in waiting):
        return None
    asker, most = running.most_common(1)[0]
    return asker if most > 1 else None


def first_of_each(askers: Iterable[Asker]) -> list[int]:
    """The numbers of `askers`, which are in order of arrival: each one's first before anybody's second, and so on."""
    seen: Counter[Asker] = Counter()
    ranks = []
    for number, asker in enumerate(askers):
        ranks.append((seen[asker], number))
        seen[asker] += 1
    return [number for _rank, number in sorted(ranks)]
