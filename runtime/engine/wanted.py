"""Work in a thread whose asker may leave: nothing interrupts a thread, so between its parts it asks whether to go on.

Knows one flag for each thread. Refuses to know what is done, and for whom.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class NobodyWaits(Exception):
    """Who asked for the work has left. Nobody is told."""


_running = threading.local()


@contextmanager
def wanted_until(left: threading.Event) -> Iterator[None]:
    """What this thread does in the block is wanted until `left` is set."""
    _running.left = left
    try:
        yield
    finally:
        del _running.left


def check_wanted() -> None:
    """Raises `NobodyWaits` where that is so; asked between two parts of what may take long."""
    left: threading.Event | None = getattr(_running, "left", None)
    if left is not None and left.is_set():
        raise NobodyWaits
