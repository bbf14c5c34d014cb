"""Who answers the lines of a batch, as the run sees it: models of its own (`here.py`), or servers (`elsewhere.py`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from runtime.batch.progress import Failures
from runtime.console.aside import Aside
from runtime.server.wire import Ask


class Answerer(msgspec.Struct, frozen=True):
    """So many requests are worth asking `at_once`. `tokens` says how many have been generated or embedded so far."""

    ask: Ask
    at_once: int
    tokens: Callable[[], int]


Answering = Callable[[Aside, Failures], AbstractAsyncContextManager[Answerer]]
"""Makes it ready, with what a person is told meanwhile, and ends it after the block."""
