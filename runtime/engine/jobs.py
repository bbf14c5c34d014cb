"""Requests on their way through the engine, and how their results get back to whoever asked.

Knows event loops. Refuses to know how the results come to be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from collections.abc import Sequence as Items
from itertools import repeat
from typing import Any, Generic, TypeVar

import msgspec

from runtime.engine.backend import Embedded, Sampled, Vectors
from runtime.engine.errors import EngineError
from runtime.engine.mailbox import Mailbox
from runtime.engine.pieces import Prompt
from runtime.engine.sequence import Sequence
from runtime.engine.turns import Origin
from runtime.engine.types import (
    EmbeddingRequest,
    Event,
    FinishedEvent,
    FinishReason,
    Probabilities,
    Progress,
    TokenEvent,
)
from runtime.engine.wording import Wording

T = TypeVar("T")


class _Job(Generic[T]):
    """What was submitted from an event loop, whose `mailbox` its results go to. `origin`: from where it was asked."""

    def __init__(self, mailbox: Mailbox, abort: Callable[[Any], None], origin: Origin) -> None:
        self.mailbox = mailbox
        self.origin = origin
        self._abort = abort

    @property
    def waits(self) -> bool:
        """Whether nothing has been computed for it yet."""
        raise NotImplementedError

    def abort(self) -> None:
        """Stop computing; the slot is free within one step. Harmless when it has finished."""
        self._abort(self)

    def deliver(self, result: T | EngineError) -> None:
        """Called in the event loop."""
        raise NotImplementedError


class Burst(msgspec.Struct):
    """Tokens of one generation that are handed over together, in order, and of each what else is wanted of it.

    `texts` where the worker has to know them, `probabilities` and `progress` up to there where the request asks.
    """

    tokens: list[int] = msgspec.field(default_factory=list)
    texts: list[str] = msgspec.field(default_factory=list)
    probabilities: list[Probabilities] = msgspec.field(default_factory=list)
    progress: list[Progress] = msgspec.field(default_factory=list)


class Generation(_Job[Burst | Event]):
    """One request's events, as an async iterator; the last is a `FinishedEvent`.

    Iterate it in the event loop it was submitted from. An error of the engine is raised from the iteration.
    """

    def __init__(
        self,
        sequence: Sequence,
        wording: Wording,
        mailbox: Mailbox,
        abort: Callable[[Any], None],
        origin: Origin = None,
    ) -> None:
        super().__init__(mailbox, abort, origin)
        self.sequence = sequence
        self.wording = wording
        self._results: list[Burst | Event | EngineError] = []
        self._is_complete = False
        self._arrived: asyncio.Future[None] | None = None

    @property
    def waits(self) -> bool:
        return self.sequence.started_at is None and not self._is_complete

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for burst in self.bursts():
            for event in burst:
                yield event

    async def bursts(self) -> AsyncIterator[list[Event]]:
        """The same events, all that have come by then at once."""
        while True:
            if not self._results:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived
            results, self._results = self._results, []
            burst = [event for result in results for event in self._events(result)]
            if burst:
                yield burst
            if isinstance(results[-1], EngineError):
                raise results[-1]
            if isinstance(results[-1], FinishedEvent):
                return

    def deliver(self, result: Burst | Event | EngineError) -> None:
        if self._is_complete:  # what the worker was at when the engine was given up
            return
        self._is_complete = isinstance(result, (FinishedEvent, EngineError))
        self._results.append(result)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _events(self, result: Burst | Event | EngineError) -> Items[Event]:
        """An event for each token, with its text, and others with theirs; errors are none."""
        if isinstance(result, Burst):
            return self._spelt_out(result)
        if isinstance(result, EngineError):
            return ()
        if isinstance(result, TokenEvent) or self.wording.can_end or result.reason is FinishReason.ABORTED:
            return (result,)
        return (msgspec.structs.replace(result, text=self.wording.finish()),)

    def _spelt_out(self, burst: Burst) -> Items[TokenEvent]:
        texts = burst.texts or map(self.wording.push, burst.tokens)
        if not burst.probabilities and not burst.progress:
            return [TokenEvent(text, (token,)) for text, token in zip(texts, burst.tokens, strict=True)]
        probabilities = [(one,) for one in burst.probabilities] or repeat(())
        progress = burst.progress or repeat(None)
        return [
            TokenEvent(text, (token,), likely, so_far)
            for text, token, likely, so_far in zip(texts, burst.tokens, probabilities, progress, strict=False)
        ]


class Embedding(_Job[Embedded]):
    """The vectors of one request's texts: await it, in the event loop it was submitted from.

    The worker keeps in `vectors` those it has, in order.
    """

    def __init__(
        self,
        request: EmbeddingRequest,
        scales: tuple[float, ...],
        mailbox: Mailbox,
        abort: Callable[[Any], None],
        origin: Origin = None,
    ) -> None:
        super().__init__(mailbox, abort, origin)
        self.texts = request.texts
        self.scales = scales
        self.vectors: list[Vectors] = []
        self._result: asyncio.Future[Embedded] = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(lambda result: result.cancelled() or result.exception())  # it has been seen

    def __await__(self) -> Generator[Any, None, Embedded]:
        return self._result.__await__()

    @property
    def waits(self) -> bool:
        return not (self.vectors or self._result.done())

    @property
    def waiting(self) -> tuple[Prompt, ...]:
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

    PATIENCE_PER_STREAM = 1 / 1000
    """Seconds for each stream, where that is more: a thousand writes a second take a twentieth of a processor."""

    def __init__(self) -> None:
        self._bursts: dict[Generation, Burst] = {}
        """Of those that have sampled since something was handed over."""
        self._addressed: set[Mailbox] = set()
        self._is_urgent = False
        self._delivered_at = 0.0

    def tell(
        self, generation: Generation, sampled: Sampled, text: str | None = None, progress: Progress | None = None
    ) -> None:
        """`sampled` comes next, with its `text` where the worker makes it."""
        burst = self._bursts.get(generation)
        if burst is None:
            burst = self._bursts[generation] = Burst()
        burst.tokens.append(sampled.token)
        if text is not None:
            burst.texts.append(text)
        if sampled.probabilities is not None:
            burst.probabilities.append(sampled.probabilities)
        if progress is not None:
            burst.progress.append(progress)

    def hurry(self) -> None:
        """What has been told does not wait for the next step."""
        self._is_urgent = True

    def put(self, job: Job, result: Any) -> None:
        """`result`, after all that has been told of `job`. It does not wait for the next step."""
        if isinstance(job, Generation) and job in self._bursts:
            self._address(job, self._bursts.pop(job))
        self._address(job, result)
        self._is_urgent = True

    def deliver(self, *, now: bool = False) -> None:
        """Hand everything over, unless it can wait for the next step and may."""
        if not self._bursts and not self._addressed:
            return
        clock = time.monotonic()
        patience = max(self.PATIENCE, self.PATIENCE_PER_STREAM * len(self._bursts))
        if now or self._is_urgent or clock - self._delivered_at >= patience:
            for generation, burst in self._bursts.items():
                self._address(generation, burst)
            self._bursts.clear()
            for mailbox in self._addressed:
                mailbox.wake()
            self._addressed.clear()
            self._is_urgent = False
            self._delivered_at = clock

    def _address(self, job: Job, result: Any) -> None:
        job.mailbox.put(job, result)
        self._addressed.add(job.mailbox)
