"""How far something is, how long it will take and how large it is, in the few signs that a terminal's line has."""

from __future__ import annotations


def bar(share: float, width: int = 24) -> str:
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
