"""How far something is, and how long it will take, in the few signs that a terminal's line has."""

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
