"""Sequences that were moved out of the KV pool, kept in memory of their own until somebody wants to go on from them.

What lies in the pool costs time even while nobody uses it: attention looks past its cells with every token, and its
threads divide the pool among them, not what they have to compute. Refuses to know what a state consists of.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Tokens

import msgspec

from runtime.engine.beginnings import Scales, common_prefix

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
        self._kept = [other for other in self._kept if not _begins(kept, other)]
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
        self, prompt: Tokens[int], scales: Scales, usable: Callable[[int, int], int] = lambda _held, common: common
    ) -> tuple[Kept | None, int]:
        """The one that shares the longest beginning with `prompt`, and how many tokens: one is left to compute.

        Of so many tokens with so many in common, so many are `usable`.
        """
        best: Kept | None = None
        best_length = 0
        for kept in self._kept:
            if kept.scales == scales:
                common = min(common_prefix(kept.tokens, prompt), len(prompt) - 1)
                if common > best_length and (length := usable(len(kept.tokens), common)) > best_length:
                    best, best_length = kept, length
        return best, best_length

    def remove(self, kept: Kept) -> None:
        """It is in the pool again."""
        self._kept.remove(kept)


def _begins(longer: Kept, other: Kept) -> bool:
    """Whether `other` is no more than a beginning of `longer`."""
    return other.scales == longer.scales and common_prefix(longer.tokens, other.tokens) == len(other.tokens)
