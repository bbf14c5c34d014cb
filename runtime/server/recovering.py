"""A server that has lost a worker computes nothing any more: it waits until all of them answer, to begin anew then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runtime.backends.workers import WorkerUnreachable, ask
from runtime.engine.placement import WorkerAddress

RETRY_SECONDS = 2.0
"""Between two questions, and how long an answer to each may take."""


async def until_all_answer(workers: Sequence[WorkerAddress]) -> None:
    """Ask until none of `workers` fails to answer; as long as one does, the others are hardly bothered."""
    waiting = list(workers)
    while (silent := await asyncio.to_thread(_first_silent, waiting)) is not None:
        waiting.remove(silent)
        waiting.insert(0, silent)
        await asyncio.sleep(RETRY_SECONDS)


def _first_silent(workers: Sequence[WorkerAddress]) -> WorkerAddress | None:
    for worker in workers:
        try:
            ask(worker, RETRY_SECONDS)
        except WorkerUnreachable:
            return worker
    return None
