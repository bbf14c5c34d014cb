"""The file's own models, by way of the server's handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runtime.batch.answering import Answerer, Answering
from runtime.batch.progress import Failures
from runtime.console.aside import Aside
from runtime.console.loading import loading_shown
from runtime.engine.engine import Engine
from runtime.errors import LoafError
from runtime.models.served import ServedModel
from runtime.server.asking import answering
from runtime.settings import Settings

_MOST_WAITING = 16
"""Requests beside those that run, so that one is there when another ends."""

_EMBEDDINGS = 16
"""Requests of texts that run at once: a batch of the engine takes as many as fit."""


def of_models(served: Sequence[ServedModel], settings: Settings) -> Answering:
    """Raises what loading does."""

    @asynccontextmanager
    async def begin(aside: Aside, _failures: Failures) -> AsyncIterator[Answerer]:
        async with loading_shown(served, aside):
            await asyncio.gather(*(asyncio.wrap_future(one.engine.ready) for one in served))
        async with answering(served, settings) as ask:
            yield Answerer(ask, _requests_at_once(served), lambda: sum(_tokens_of(one.engine) for one in served))

    return begin


def _requests_at_once(served: Sequence[ServedModel]) -> int:
    generators = [one.engine.backend().generator for one in served]
    slots = sum(generator.settings.n_slots if generator else _EMBEDDINGS for generator in generators)
    return slots + min(slots, _MOST_WAITING)


def _tokens_of(engine: Engine) -> int:
    """Generated or embedded, by requests that still run, too."""
    try:
        stats = engine.stats()
    except LoafError:  # it has stopped, and the batch is about to be told
        return 0
    running = sum(slot.occupant.progress.usage.generated_tokens for slot in stats.slots if slot.occupant)
    return stats.counters.generated_tokens + stats.counters.embedded_tokens + running
