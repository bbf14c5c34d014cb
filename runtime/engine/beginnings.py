"""How much two texts begin in common, and what else must be the same for one to go on from the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence as Tokens

from runtime.engine.pieces import whole

Scales = tuple[float, ...]
"""How strongly each LoRA adapter is applied: what was computed with others is of no use."""


def common_prefix(a: Tokens[int], b: Tokens[int]) -> int:
    """How many tokens `a` and `b` begin with in common, of pictures whole ones only.

    Compares longer and longer pieces, since most have little in common, then halves the one that differs.
    """
    low, size, end = 0, 8, min(len(a), len(b))
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
