"""Requests on their way through the engine, and how their results get back to whoever asked.

Knows event loops. Refuses to know how the results come to be.
"""

from __future__ import annotations

import asyncio
import time
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
        self._events: list[Event | EngineError] = []
        self._is_complete = False
        self._arrived: asyncio.Future[None] | None = None

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for burst in self.bursts():
            for event in burst:
                yield event

    async def bursts(self) -> AsyncIterator[list[Event]]:
        """The same events, all that have come by then at once."""
        while True:
            if not self._events:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived
            events, self._events = self._events, []
            burst = [event for event in events if not isinstance(event, EngineError)]
            if burst:
                yield burst
            if isinstance(events[-1], EngineError):
                raise events[-1]
            if isinstance(events[-1], FinishedEvent):
                return

    def deliver(self, result: Event | EngineError) -> None:
        if self._is_complete:  # what the worker was at when the engine was given up
            return
        self._is_complete = isinstance(result, (FinishedEvent, EngineError))
        self._events.append(result)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


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
    """Results that wait to be handed over: one wake-up for each event loop that has any, once a step.

    Or less often: while steps take a few milliseconds, tokens in the middle of a text are handed over every
    `PATIENCE`, because waking the loop and writing to a socket take processors from llama.cpp (measured: 5 % of a
    step of 6 ms on two cores).
    """

    PATIENCE = 1 / 60
    """Seconds: no screen shows more."""

    def __init__(self) -> None:
        self._addressed: set[Mailbox] = set()
        self._is_urgent = False
        self._delivered_at = 0.0

    def put(self, job: Job, result: Any, *, urgent: bool = True) -> None:
        job.mailbox.put(job, result)
        self._addressed.add(job.mailbox)
        self._is_urgent = self._is_urgent or urgent

    def deliver(self, *, now: bool = False) -> None:
        """Hand everything over, unless it can wait for the next step and may."""
        if not self._addressed:
            return
        clock = time.monotonic()
        if now or self._is_urgent or clock - self._delivered_at >= self.PATIENCE:
            for mailbox in self._addressed:
                mailbox.wake()
            self._addressed.clear()
            self._is_urgent = False
            self._delivered_at = clock
