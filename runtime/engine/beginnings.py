"""How much two texts begin in common, and what else must be the same for one to go on from the other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Tokens
from typing import Protocol, TypeVar

from runtime.engine.pieces import whole

Scales = tuple[float, ...]
"""How strongly each LoRA adapter is applied: what was computed with others is of no use."""


class Computed(Protocol):
    """`tokens` that were computed with the adapters at `scales`, wherever they are kept."""

    @property
    def tokens(self) -> Tokens[int]: ...
    @property
    def scales(self) -> Scales: ...


Of = TypeVar("Of", bound=Computed)


def longest_beginning(
    kept: Iterable[Of], prompt: Tokens[int], scales: Scales, usable: Callable[[Of, int], int]
) -> tuple[Of | None, int]:
    """The one that shares the longest beginning with `prompt`, and how many tokens: one is left to compute.

    Of one with so many tokens in common, so many are `usable`.
    """
    best: Of | None = None
    best_length = 0
    for one in kept:
        if one.scales == scales:
            common = min(common_prefix(one.tokens, prompt), len(prompt) - 1)
            if common > best_length and (length := usable(one, common)) > best_length:
                best, best_length = one, length
    return best, best_length


def begins(longer: Computed, other: Computed) -> bool:
    """Whether `other` is no more than a beginning of `longer`."""
    return other.scales == longer.scales and common_prefix(longer.tokens, other.tokens) == len(other.tokens)


_FIRST = 8
"""Tokens: to slice so few takes longer than to look at them."""


def common_prefix(a: Tokens[int], b: Tokens[int]) -> int:
    """How many tokens `a` and `b` begin with in common, of pictures whole ones only.

    Compares the first ones one by one, since most have little in common, then longer and longer pieces, and halves the
    one that differs.
    """
    low, size, end = 0, _FIRST, min(len(a), len(b))
    few = min(_FIRST, end)
    while low < few and a[low] == b[low]:
        low += 1
    if low < few:
        return whole(b, whole(a, low))
    while low < end and _agree(a, b, low, min(low + size, end)):
        low, size = min(low + size, end), 2 * size
    high = min(low + size, end)
    while high - low > 1:  # the first `low` are equal, the first `high` are not
        middle = (low + high) // 2
        if _agree(a, b, low, middle):
            low = middle
        else:
            high = middle
    return whole(b, whole(a, low))


def _agree(a: Tokens[int], b: Tokens[int], start: int, end: int) -> bool:
    return list(a[start:end]) == list(b[start:end])
