"""Sets of code points, as sorted ranges that neither overlap nor touch: `((0x30, 0x39), (0x61, 0x7A))`.

Both ends belong to a range. Knows nothing of JSON, regular expressions or GBNF.
"""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

UNICODE: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""Every character. Surrogates are none: they cannot be written in UTF-8."""


def of(*parts: str | tuple[str, str]) -> Ranges:
    """The characters of each string, and of each range given by its ends: `of("_-", ("a", "z"))`."""
    ends = [(ord(part[0]), ord(part[1])) for part in parts if isinstance(part, tuple)]
    return union(ends, [(ord(char), ord(char)) for part in parts if isinstance(part, str) for char in part])


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """What is in any of `sets`, whose ranges may come in any order and overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for ranges in sets for pair in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersection(a: Ranges, b: Ranges) -> Ranges:
    """What is in both."""
    found = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            found.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def difference(a: Ranges, b: Ranges) -> Ranges:
    """What is in `a` and not in `b`."""
    ends = [0, *(end for low, high in b for end in (low - 1, high + 1)), 0x7FFFFFFF]
    gaps = zip(ends[::2], ends[1::2], strict=True)
    return intersection(a, tuple((low, high) for low, high in gaps if low <= high))


def contains(ranges: Ranges, point: int) -> bool:
    """Whether the code point is one of them."""
    return any(low <= point <= high for low, high in ranges)


def only_member(ranges: Ranges) -> int | None:
    """The single code point of the set, if it has just one."""
    return ranges[0][0] if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else None
