"""What a person sees while weights are fetched: what they are, then a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from runtime.console.aside import Aside
from runtime.console.meter import bar_beside, clock, size

_REDRAW_SECONDS = 0.1


def announce(what: str) -> Callable[[int, int], None]:
    """Says once what is fetched, where a log can tell of it, too; returns who is told how far it is, in bytes."""
    aside = Aside()
    began = drawn = time.monotonic()
    first: int | None = None

    def report(have: int, total: int) -> None:
        nonlocal began, drawn, first
        now = time.monotonic()
        if first is None:
            first, began = have, now
            print(f"Fetching {what}: {size(total - have)}", file=sys.stderr, flush=True)
        if have == total:
            aside.clear()
        elif now - drawn >= _REDRAW_SECONDS:
            drawn = now
            left = (total - have) * (now - began) / max(have - first, 1)
            share = have / max(total, 1)
            aside.status(bar_beside(f"{share:.0%} of {size(total)}, {clock(left)} left", share, aside.width))

    return report
