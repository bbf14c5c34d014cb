"""The worker thread: it owns the model's context from loading to the end.

Each step: take in what was submitted and aborted, admit what fits, plan one batch, compute it, sample every sequence
that can go on, hand the events to the event loops that wait for them.

Knows the order of things. What goes into a batch is `scheduler.py`'s, what is reused `cache.py`'s, how it is computed
`llama.py`'s to know.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

import msgspec

from runtime.engine.backend import Backend
from runtime.engine.cache import PrefixCache
from runtime.engine.errors import (
    DecodeFailed,
    EmptyPrompt,
    EngineError,
    EngineStopped,
    PromptTooLong,
    QueueFull,
    StillLoading,
)
from runtime.engine.generation import Generation
from runtime.engine.llama import BatchItem, PoolFull
from runtime.engine.sampler import Sampler
from runtime.engine.scheduler import Chunk, Limits, plan_batch
from runtime.engine.sequence import Sequence
from runtime.engine.types import Event, FinishedEvent, FinishReason, GenerationRequest, TokenEvent

MAX_WAITING = 512
"""Requests that may wait for a slot before new ones are refused."""


class _Job(msgspec.Struct, eq=False):
    """A request in the worker thread. It keeps its sampler, and so its random numbers, when it has to wait again."""

    generation: Generation
    sampler: Sampler | None = None

    @property
    def sequence(self) -> Sequence:
        return self.generation.sequence


class Engine:
    """Generates for many requests at once. `open_context` loads the model; it runs in the worker thread.

    `ready` completes with the model's context, or with what went wrong while it was loaded; `finished` when the
    worker thread has ended, with the bug that ended it if it was not `stop`.
    """

    def __init__(self, open_context: Callable[[], Backend], *, max_waiting: int = MAX_WAITING) -> None:
        self.ready: Future[Backend] = Future()
        self.ready.set_running_or_notify_cancel()  # who waits for it may stop waiting, but not cancel it
        self.finished: Future[None] = Future()
        self.finished.set_running_or_notify_cancel()
        self._open_context = open_context
        self._max_waiting = max_waiting
        self._wake = threading.Condition()
        self._submitted: deque[Generation] = deque()
        self._aborted: set[Generation] = set()
        self._stopping = False
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._pool_is_short = False
        self._outbox: list[tuple[Generation, Event | EngineError]] = []
        self._thread = threading.Thread(target=self._work, name="engine")

    def start(self) -> None:
        """Begin loading; returns at once."""
        self._thread.start()

    def submit(self, request: GenerationRequest) -> Generation:
        """Queue `request`. Called in an event loop.

        Raises `StillLoading`, `EngineStopped`, `EmptyPrompt`, `PromptTooLong`, `QueueFull`, or what made loading fail.
        """
        context = self.context()
        if not request.prompt:
            raise EmptyPrompt
        if len(request.prompt) >= context.n_ctx:
            raise PromptTooLong(len(request.prompt), context.n_ctx)
        generation = Generation(Sequence(request), self._abort)
        with self._wake:
            if self._stopping:
                raise EngineStopped
            waiting = len(self._submitted) + len(self._waiting)
            if waiting >= self._max_waiting:
                raise QueueFull(waiting)
            self._submitted.append(generation)
            self._wake.notify()
        return generation

    def context(self) -> Backend:
        """The loaded context. Raises `StillLoading`, `EngineStopped`, or what made loading fail."""
        if not self.ready.done():
            raise StillLoading
        if self._stopping:
            raise EngineStopped
        return self.ready.result()

    def is_busy(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self._submitted or self._waiting or self._running)

    def stop(self) -> None:
        """Take no more requests; what is running ends with `EngineStopped`. Returns at once; see `join`."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self.ready.done() and self.ready.exception() is None:
            self.ready.result().interrupt()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the worker thread, then free the context and the model. Nobody may use them any more."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if self.finished.done() and self.ready.exception() is None:
            context = self.ready.result()
            context.close()
            context.model.close()

    def _abort(self, generation: Generation) -> None:
        with self._wake:
            self._aborted.add(generation)
            self._wake.notify()

    # -- the worker thread ------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            context = self._open_context()
        except Exception as error:
            self.ready.set_exception(error)
            self.finished.set_result(None)
            return
        self._context = context
        self._cache = PrefixCache(context.settings.n_slots, partial=context.model.facts.keeps_partial_prefix)
        self._limits = Limits(batch=context.settings.n_batch, prefill_beside_streams=context.settings.n_ubatch)
        self.ready.set_result(context)
        try:
            while self._take_in():
                self._step()
                self._deliver()
            self._fail_everything(EngineStopped())
        except BaseException as bug:
            self._fail_everything(EngineStopped())
            self.finished.set_exception(bug)
        else:
            self.finished.set_result(None)

    def _take_in(self) -> bool:
        """Wait until there is something to do; False when the engine is to end."""
        with self._wake:
            while not (self._running or self._waiting or self._submitted or self._aborted or self._stopping):
                self._wake.wait()
            if self._stopping:
                return False
            self._waiting.extend(map(_Job, self._submitted))
            self._submitted.clear()
            aborted, self._aborted = self._aborted, set()
        if aborted:
            self._drop(aborted)
        return True

    def _drop(self, aborted: set[Generation]) -> None:
        for job in [job for job in self._waiting if job.generation in aborted]:
            self._waiting.remove(job)
            _close_sampler(job)
        for job in [job for job in self._running if job.generation in aborted]:
            self._end(job, job.sequence.finished(FinishReason.ABORTED))

    def _step(self) -> None:
        self._admit_waiting()
        chunks = plan_batch([job.sequence for job in self._running], self._limits)
        if not chunks:
            return
        try:
            outputs = self._context.decode([_item(chunk) for chunk in chunks])
        except PoolFull:
            self._make_room()
            return
        except EngineStopped:
            return  # in the middle of a batch; `_take_in` ends the loop
        except DecodeFailed as error:
            self._fail_batch(chunks, error)
            return
        by_sequence = {job.sequence: job for job in self._running}
        for chunk in chunks:
            self._count(chunk)
            if chunk.wants_logits:
                self._go_on(by_sequence[chunk.sequence], outputs[_slot(chunk.sequence)])

    def _admit_waiting(self) -> None:
        """Start what finds a free slot, in order of arrival. Who shares a prefix that is being computed waits."""
        held: list[_Job] = []
        while self._waiting and self._cache.has_free_slot() and not self._pool_is_short:
            job = self._waiting.popleft()
            if job.sequence.request.reuse_prefix and self._cache.is_coming(job.sequence.tokens):
                held.append(job)
            else:
                self._admit(job)
        self._waiting.extendleft(reversed(held))

    def _admit(self, job: _Job) -> None:
        """Give a waiting request a slot and whatever prefix of it is computed already."""
        sequence = job.sequence
        if job.sampler is None:
            try:
                job.sampler = self._context.model.new_sampler(
                    sequence.request.sampling, sequence.tokens, self._context.n_ctx
                )
            except EngineError as error:
                self._outbox.append((job.generation, error))
                return
        start = self._cache.acquire(sequence.tokens, reuse=sequence.request.reuse_prefix)
        reuse = start.reuse
        if start.copy_from is not None:
            self._context.keep_prefix(start.slot, 0)
            self._context.copy_prefix(start.copy_from, start.slot, reuse)
        elif not self._context.keep_prefix(start.slot, reuse):
            self._context.keep_prefix(start.slot, 0)
            self._cache.forget(start.slot)
            reuse = 0
        sequence.slot, sequence.computed = start.slot, reuse
        if sequence.started_at is None:
            sequence.started_at = time.monotonic()
            sequence.cached = reuse
        self._running.append(job)

    def _count(self, chunk: Chunk) -> None:
        sequence = chunk.sequence
        self._cache.computed(_slot(sequence), sequence.tokens[chunk.start : chunk.start + chunk.count])
        sequence.computed += chunk.count

    def _go_on(self, job: _Job, output: int) -> None:
        """Sample the next token of a sequence whose tokens are all computed, and see whether it is the last."""
        sequence = job.sequence
        limit = sequence.request.max_tokens
        if sequence.first_token_at is None:
            sequence.first_token_at = time.monotonic()
        if limit is not None and sequence.generated >= limit:
            self._end(job, sequence.finished(FinishReason.MAX_TOKENS))
            return
        assert job.sampler is not None, "the job has not been admitted"
        try:
            token = self._context.sample(job.sampler, output)
        except EngineError as error:
            self._end(job, error)
            return
        sequence.tokens.append(token)
        if self._context.model.ends_generation(token):
            self._finish(job, FinishReason.END_OF_TEXT)
            return
        text = sequence.assembler.push(self._context.model.piece(token))
        self._outbox.append((job.generation, TokenEvent(text, (token,))))
        if sequence.assembler.stopped:
            self._finish(job, FinishReason.STOP_STRING)
        elif limit is not None and sequence.generated >= limit:
            self._finish(job, FinishReason.MAX_TOKENS)
        elif len(sequence.tokens) >= self._context.n_ctx:
            self._finish(job, FinishReason.CONTEXT_FULL)

    def _finish(self, job: _Job, reason: FinishReason) -> None:
        """End a sequence with the text that was held back, which may turn out to hold a stop string."""
        text = job.sequence.assembler.finish()
        if job.sequence.assembler.stopped:
            reason = FinishReason.STOP_STRING
        self._end(job, job.sequence.finished(reason, text))

    def _end(self, job: _Job, event: FinishedEvent | EngineError) -> None:
        self._release(job)
        _close_sampler(job)
        self._pool_is_short = False
        self._outbox.append((job.generation, event))

    def _release(self, job: _Job) -> None:
        self._running.remove(job)
        self._cache.release(_slot(job.sequence))
        job.sequence.slot = None

    def _make_room(self) -> None:
        """The pool is full: drop the oldest cache; else let the youngest wait again; else end the only one."""
        slot = self._cache.evict()
        if slot is not None:
            self._empty(slot)
        elif len(self._running) > 1:
            youngest = self._running[-1]
            slot = _slot(youngest.sequence)
            self._release(youngest)
            self._empty(slot)
            youngest.sequence.computed = 0
            self._pool_is_short = True  # until another ends: let in at once, it would be put out again
            self._waiting.appendleft(youngest)
        else:
            self._finish(self._running[0], FinishReason.CONTEXT_FULL)

    def _empty(self, slot: int) -> None:
        self._context.keep_prefix(slot, 0)
        self._cache.forget(slot)

    def _fail_batch(self, chunks: tuple[Chunk, ...], error: DecodeFailed) -> None:
        """End the requests of a batch that could not be computed; what the memory holds of them is unknown."""
        failed = {chunk.sequence for chunk in chunks}
        for job in [job for job in self._running if job.sequence in failed]:
            slot = _slot(job.sequence)
            self._end(job, error)
            self._empty(slot)

    def _fail_everything(self, error: EngineError) -> None:
        with self._wake:
            self._stopping = True
            self._waiting.extend(map(_Job, self._submitted))
            self._submitted.clear()
        for job in list(self._running):
            self._end(job, error)
        for job in self._waiting:
            _close_sampler(job)
            self._outbox.append((job.generation, error))
        self._waiting.clear()
        self._deliver()

    def _deliver(self) -> None:
        """Hand this step's events over: one wake-up for each event loop that has any."""
        outbox, self._outbox = self._outbox, []
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Generation, Event | EngineError]]] = {}
        for generation, event in outbox:
            by_loop.setdefault(generation.loop, []).append((generation, event))
        for loop, deliveries in by_loop.items():
            with suppress(RuntimeError):  # the loop has been closed: nobody listens any more
                loop.call_soon_threadsafe(_deliver_all, deliveries)


def _deliver_all(deliveries: list[tuple[Generation, Event | EngineError]]) -> None:
    for generation, event in deliveries:
        generation.deliver(event)


def _close_sampler(job: _Job) -> None:
    if job.sampler is not None:
        job.sampler.close()
        job.sampler = None


def _item(chunk: Chunk) -> BatchItem:
    tokens = tuple(chunk.sequence.tokens[chunk.start : chunk.start + chunk.count])
    return BatchItem(_slot(chunk.sequence), chunk.start, tokens, chunk.wants_logits)


def _slot(sequence: Sequence) -> int:
    assert sequence.slot is not None, "the sequence is not running"
    return sequence.slot
