"""Which server does what: all that begins alike goes to the same one, and nobody stands idle beside a queue.

Each server has a queue of what belongs to it, by its key (rendezvous hashing: where a server goes, only what was its
own belongs to others). One with nothing left in its own takes from the end of the longest. Pure policy. Refuses to know
what is done, and how servers come and go.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Place(msgspec.Struct, eq=False):
    """A server, which does so much `at_once`. `is_out`: it is given nothing."""

    name: str
    at_once: int
    busy: int = 0
    is_out: bool = False


class Spreading(Generic[T]):
    """What waits for `places`, of which there is at least one."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        self._queues: dict[Place, deque[tuple[T, bytes]]] = {place: deque() for place in places}

    def add(self, item: T, key: bytes, *, first: bool = False) -> None:
        """Let `item` wait where it belongs: behind the others there, or before them."""
        queue = self._queues[self._owner(key)]
        if first:
            queue.appendleft((item, key))
        else:
            queue.append((item, key))

    def begin(self) -> Iterator[tuple[Place, T, bytes]]:
        """What is to be done now, and by whom, who is then the busier by it until `end`."""
        while True:
            free = [place for place in self.places if not place.is_out and place.busy < place.at_once]
            given = [(place, queue) for place in free if (queue := self._queues[place])]
            if given:
                place, queue = given[0]
                item, key = queue.popleft()
            else:
                longest = max(self._queues.values(), key=len)
                if not free or not longest:
                    return
                place = min(free, key=lambda one: one.busy / one.at_once)
                item, key = longest.pop()
            place.busy += 1
            yield place, item, key

    def end(self, place: Place) -> None:
        """`place` has done one of them, or has not."""
        place.busy -= 1

    def put_out(self, place: Place) -> None:
        """Give it nothing more; what belongs to it belongs to others now."""
        place.is_out = True
        self._share_anew([place])

    def take_back(self, place: Place) -> None:
        """It is there again, and so is what belongs to it."""
        place.is_out = False
        self._share_anew(self.places)

    def drain(self) -> list[T]:
        """All that waits; nothing does then."""
        items = [item for queue in self._queues.values() for item, _key in queue]
        for queue in self._queues.values():
            queue.clear()
        return items

    def _share_anew(self, places: Sequence[Place]) -> None:
        waiting = [entry for place in places for entry in self._queues[place]]
        for place in places:
            self._queues[place].clear()
        for item, key in waiting:
            self.add(item, key)

    def _owner(self, key: bytes) -> Place:
        """Whose it is: of those that are there, if any are."""
        there = [place for place in self.places if not place.is_out] or self.places
        return max(there, key=lambda place: hashlib.sha256(place.name.encode() + b"\0" + key).digest())
