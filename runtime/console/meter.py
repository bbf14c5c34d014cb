"""How far something is, how long it will take and how large it is, in the few signs that a terminal's line has."""

from __future__ import annotations

LONGEST_BAR, SHORTEST_BAR = 24, 8
"""Columns between its brackets."""


def bar_beside(said: str, share: float, width: int) -> str:
    """A bar for `share`, and what is `said` of it, in `width` columns; no bar where there is no room for one."""
    signs = min(LONGEST_BAR, width - len(f"[] {said}"))
    return f"{bar(share, signs)} {said}" if signs >= SHORTEST_BAR else said


def bar(share: float, width: int = LONGEST_BAR) -> str:
    """`share` from 0 to 1, as in `[######..................]`."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def clock(seconds: float) -> str:
    """As in `0:05`, `12:05` and `1:12:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """`count` bytes in units of 1000, as in `4.1 GB` and `38.2 MB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def large(count: int) -> str:
    """As in `7.6 billion`, `1.9 million` and `512`."""
    for unit, word in ((10**9, "billion"), (10**6, "million")):
        if count >= unit:
            return f"{count / unit:,.1f} {word}"
    return f"{count:,}"
