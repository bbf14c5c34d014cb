"""Requests on their way through the engine, and how their results get back to whoever asked.

Knows event loops. Refuses to know how the results come to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Generic, TypeVar

from runtime.engine.backend import Embedded, Vectors
from runtime.engine.errors import EngineError
from runtime.engine.mailbox import Mailbox
from runtime.engine.sequence import Sequence
from runtime.engine.types import EmbeddingRequest, Event, FinishedEvent

T = TypeVar("T")


class _Job(Generic[T]):
    """What was submitted from an event loop, whose `mailbox` its results go to."""

    def __init__(self, mailbox: Mailbox, abort: Callable[[Any], None]) -> None:
        self.mailbox = mailbox
        self._abort = abort

    def abort(self) -> None:
        """Stop computing; the slot is free within one step. Harmless when it has finished."""
        self._abort(self)

    def deliver(self, result: T | EngineError) -> None:
        """Called in the event loop."""
        raise NotImplementedError


class Generation(_Job[Event]):
    """One request's events, as an async iterator; the last is a `FinishedEvent`.

    Iterate it in the event loop it was submitted from. An error of the engine is raised from the iteration.
    """

    def __init__(self, sequence: Sequence, mailbox: Mailbox, abort: Callable[[Any], None]) -> None:
        super().__init__(mailbox, abort)
        self.sequence = sequence
        self._events: asyncio.Queue[Event | EngineError] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self._events.get()
            if isinstance(event, EngineError):
                raise event
            yield event
            if isinstance(event, FinishedEvent):
                return

    def deliver(self, result: Event | EngineError) -> None:
        self._events.put_nowait(result)


class Embedding(_Job[Embedded]):
    """The vectors of one request's texts: await it, in the event loop it was submitted from.

    The worker keeps in `vectors` those it has, in order.
    """

    def __init__(
        self, request: EmbeddingRequest, scales: tuple[float, ...], mailbox: Mailbox, abort: Callable[[Any], None]
    ) -> None:
        super().__init__(mailbox, abort)
        self.texts = request.texts
        self.scales = scales
        self.vectors: list[Vectors] = []
        self._result: asyncio.Future[Embedded] = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(lambda result: result.cancelled() or result.exception())  # it has been seen

    def __await__(self) -> Generator[Any, None, Embedded]:
        return self._result.__await__()

    @property
    def waiting(self) -> tuple[tuple[int, ...], ...]:
        """The texts that have no vectors yet."""
        return self.texts[len(self.vectors) :]

    def deliver(self, result: Embedded | EngineError) -> None:
        if self._result.done():  # nobody waits any more
            return
        if isinstance(result, EngineError):
            self._result.set_exception(result)
        else:
            self._result.set_result(result)


Job = Generation | Embedding


class Outbox:
    """Results that wait to be handed over: one wake-up for each event loop that has any, once a step."""

    def __init__(self) -> None:
        self._addressed: set[Mailbox] = set()

    def put(self, job: Job, result: Any) -> None:
        job.mailbox.put(job, result)
        self._addressed.add(job.mailbox)

    def deliver(self) -> None:
        """Hand everything over."""
        for mailbox in self._addressed:
            mailbox.wake()
        self._addressed.clear()
