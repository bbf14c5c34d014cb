"""Sequences that were moved out of the KV pool, kept in memory of their own until somebody wants to go on from them.

What lies in the pool costs time even while nobody uses it: attention looks past its cells with every token, and its
threads divide the pool among them, not what they have to compute. Refuses to know what a state consists of.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Tokens

import msgspec

from runtime.engine.beginnings import Scales, begins, longest_beginning

_MAX_KEPT = 64
"""Sequences; each new request is compared with all of them."""


class Kept(msgspec.Struct, frozen=True, eq=False):
    """`tokens`, computed with the adapters at `scales`, as the backend's `state` of them."""

    tokens: Tokens[int]
    scales: Scales
    state: memoryview


class Shelf:
    """Up to `capacity` bytes of states; those that were put there first make room for others."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: list[Kept] = []

    @property
    def size(self) -> int:
        """Bytes of the states."""
        return sum(len(kept.state) for kept in self._kept)

    def put(self, kept: Kept) -> list[Kept]:
        """Keep it, and none that it makes needless; returns those that have to go. It must fit into `capacity`."""
        self._kept = [other for other in self._kept if not begins(kept, other)]
        self._kept.append(kept)
        gone = []
        while self.size > self.capacity or len(self._kept) > _MAX_KEPT:
            gone.append(self._kept.pop(0))
        return gone

    def clear(self) -> list[Kept]:
        """Keep nothing any more; returns what was kept."""
        gone, self._kept = self._kept, []
        return gone

    def longest_prefix(
        self, prompt: Tokens[int], scales: Scales, usable: Callable[[Kept, int], int] = lambda _kept, common: common
    ) -> tuple[Kept | None, int]:
        """As `longest_beginning`, of what is kept."""
        return longest_beginning(self._kept, prompt, scales, usable)

    def remove(self, kept: Kept) -> None:
        """It is in the pool again."""
        self._kept.remove(kept)
