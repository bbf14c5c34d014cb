"""The engine: requests from any event loop in, and a thread that loads the model and computes for them.

Each turn: take in what was submitted and aborted, compute batches of generations or of texts, hand the results over.
Knows threads. Whose turn it is, `worker.py` knows; what is done in one, `lanes.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.engine.backend import Backend, Generator
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.errors import (
    CannotEmbedPieces,
    CannotGenerate,
    EmptyPrompt,
    EngineBroken,
    EngineError,
    EngineStopped,
    ModelAsleep,
    OriginsShareFull,
    PictureLast,
    PromptTooLong,
    QueueFull,
    SlotBusy,
    StillLoading,
    TextTooLong,
    UnknownSlot,
)
from runtime.engine.jobs import Embedding, Generation, Job, Outbox
from runtime.engine.lanes import Lanes
from runtime.engine.mailbox import Mailbox
from runtime.engine.pieces import is_of_piece
from runtime.engine.prefixes import PutAside
from runtime.engine.residence import Residence
from runtime.engine.sequence import Sequence
from runtime.engine.slots import SavedState, erase_slot, restore_slot, save_slot
from runtime.engine.stats import Counters, EngineStats, SlotState
from runtime.engine.turns import Asker, Origin, may_wait
from runtime.engine.types import EmbeddingRequest, GenerationRequest
from runtime.engine.uses import note_use
from runtime.engine.wording import Wording
from runtime.engine.worker import Worker
from runtime.errors import LoafError

if TYPE_CHECKING:
    from runtime.engine.disk import Disk

T = TypeVar("T")

MAX_WAITING = 512
"""Requests that may wait before new ones are refused."""

TURN = 0.002
"""Seconds: where batches are shorter, a turn has several. To ask whose turn it is costs as much as four streams do."""


class Engine:
    """Generates and embeds for many requests at once. `open_backend` loads the model, in a thread of its own.

    `ready` completes with the backend, or with what went wrong while it was loaded; `finished` when nothing will be
    computed any more, with the bug that ended it if it was not `stop`; `lost` when it is given up, with the reason,
    which does not end it. `shifts`, `shelf_bytes`, `checkpoints` and `disk`: see `Generations`.
    Engines of one process share a `worker`. While nobody uses it the model may `sleep`: `open_backend` is called again
    to `wake` it. With `look` it sleeps at first: that gives a backend that cannot compute.
    """

    def __init__(
        self,
        open_backend: Callable[[], Backend],
        *,
        look: Callable[[], Backend] | None = None,
        max_waiting: int = MAX_WAITING,
        shifts: bool = False,
        shelf_bytes: int = 0,
        checkpoints: CheckpointLimits | None = None,
        disk: Disk | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.ready: Future[Backend] = Future()
        self.ready.set_running_or_notify_cancel()  # who waits for it may stop waiting, but not cancel it
        self.finished: Future[None] = Future()
        self.finished.set_running_or_notify_cancel()
        self.lost: Future[EngineError] = Future()
        self.lost.set_running_or_notify_cancel()
        self._max_waiting = max_waiting
        self._shifts = shifts
        self._shelf_bytes = shelf_bytes
        self._checkpoints = checkpoints
        self._disk = disk
        self._worker = worker or Worker()
        self._wake = self._worker.wake
        self._submitted: deque[Job] = deque()
        self._aborted: set[Job] = set()
        self._tasks: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._loss: EngineError | None = None
        self._jobs: weakref.WeakSet[Job] = weakref.WeakSet()
        self._actions: set[Future[Any]] = set()
        self._is_tidy = True
        self._scales: tuple[float, ...] = ()
        self._numbers = itertools.count()
        self._mailboxes: dict[asyncio.AbstractEventLoop, Mailbox] = {}
        self._outbox = Outbox()
        self._counters = Counters()
        self._lanes: Lanes | None = None
        """While the model is loaded."""
        self._residence = Residence(self, open_backend, look, self._wake)
        self._aside: PutAside | None = None
        """What a sleep has left of prefixes."""
        # A daemon, because one that waits for a lost worker never ends; see `join`.
        self._thread = threading.Thread(target=self._load_and_work, name="engine", daemon=True)

    # -- for everybody ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin loading, unless it has begun; returns at once."""
        if self._thread.ident is None:
            self._thread.start()

    def backend(self) -> Backend:
        """The loaded backend. Raises `StillLoading`, `EngineStopped`, what made loading fail, or it useless since."""
        self._check_ready()
        note_use(self)
        return self._residence.now

    def described(self) -> Backend:
        """What the backend says of itself, asleep or not: whatever else it is asked raises `ModelAsleep`.

        Raises as `backend` does.
        """
        self._check_ready()
        return self._residence.left

    def generator(self) -> Generator:
        """The loaded backend's generator. Raises as `backend` does, and `CannotGenerate`."""
        generator = self.backend().generator
        if generator is None:
            raise CannotGenerate
        return generator

    # -- unloaded, and loaded again ---------------------------------------------------------------------------

    @property
    def is_asleep(self) -> bool:
        return self._residence.is_asleep

    @property
    def is_used(self) -> bool:
        """Whether anybody is counted who uses the model just now."""
        return self._residence.uses > 0

    def begin_use(self) -> None:
        """Somebody computes something with the model, or is about to: it stays loaded, or will be until then."""
        self._residence.begin_use()

    def end_use(self) -> None:
        self._residence.end_use()

    def sleep(self) -> bool:
        """Unload the model, between two steps, unless somebody uses it; whether it is so. Returns at once.

        What is put aside for prefixes is kept.
        """
        with self._wake:
            if self._stopping or self._loss is not None or not self._residence.fall_asleep():
                return False
            self._tasks.append(self._unload)
            self._wake.notify()
        return True

    def wake(self) -> Future[None]:
        """Load it again. Several may wait for it. Fails with `CannotWake`, `EngineStopped`."""
        return self._residence.wake(self._settle_in)

    def submit(self, request: GenerationRequest, asker: Asker = None, origin: Origin = None) -> Generation:
        """Queue `request`. Called in an event loop. Slots are shared among all askers, and the queue among all origins.

        Raises `StillLoading`, `EngineStopped`, `CannotGenerate`, `EmptyPrompt`, `PictureLast`, `PromptTooLong`,
        `UnknownSlot`, `QueueFull`, `OriginsShareFull`, or what made loading fail.
        """
        generator, model = self.generator(), self.backend().model
        n_ctx, n_slots = generator.n_ctx, generator.settings.n_slots
        if request.slot is not None and not 0 <= request.slot < n_slots:
            raise UnknownSlot(request.slot, n_slots)
        if not request.prompt:
            raise EmptyPrompt
        if is_of_piece(request.prompt[-1]):
            raise PictureLast
        if len(request.prompt) >= n_ctx:
            raise PromptTooLong(len(request.prompt), n_ctx)
        sequence = Sequence(request, self._scales_of(request.scales), next(self._numbers), asker)
        generation = Generation(sequence, Wording(request, model), self._mailbox(), self._abort, origin)
        self._queue(generation)
        return generation

    def embed(self, request: EmbeddingRequest, origin: Origin = None) -> Embedding:
        """Queue `request`, to be awaited. Called in an event loop.

        Raises `StillLoading`, `EngineStopped`, `EmptyPrompt`, `TextTooLong`, `CannotEmbedPieces`, `QueueFull`,
        `OriginsShareFull`, or what made loading fail; awaiting it raises `ContextFailed`, `DecodeFailed`.
        """
        backend = self.backend()
        lengths = [len(text.tokens) for text in request.texts]
        if not lengths or not all(lengths):
            raise EmptyPrompt
        if max(lengths) > backend.longest_text:
            raise TextTooLong(max(lengths), backend.longest_text)
        if not backend.embeds_pieces and any(text.pieces for text in request.texts):
            raise CannotEmbedPieces
        embedding = Embedding(request, self._scales_of(request.scales), self._mailbox(), self._abort, origin)
        self._queue(embedding)
        return embedding

    @property
    def scales(self) -> tuple[float, ...]:
        """How strongly each adapter is applied to requests that do not say so themselves."""
        return self._scales

    def set_scales(self, scales: tuple[float, ...]) -> None:
        """The same for requests from now on; those that run keep theirs."""
        self._scales = self._scales_of(scales)

    def save_slot(self, slot: int, path: Path) -> Future[SavedState]:
        """Write what `slot` holds to `path`, once nothing runs there: so do the others.

        Fails with `UnknownSlot`, `StateFailed`, `OSError`.
        """
        return self._do(partial(self._with_generations, save_slot, slot, path))

    def restore_slot(self, slot: int, path: Path) -> Future[SavedState]:
        """Let `slot` hold what was saved to `path`, with the adapters that are in force. Fails as `save_slot`."""
        return self._do(partial(self._with_generations, restore_slot, slot, path, self._scales))

    def erase_slot(self, slot: int) -> Future[int]:
        """Forget what `slot` holds, so many tokens. Fails with `UnknownSlot`."""
        return self._do(partial(self._with_generations, erase_slot, slot))

    def stats(self) -> EngineStats:
        """How it is now. Raises as `backend` does."""
        said, lanes = self.described(), self._lanes
        generator, generations = said.generator, lanes.generations if lanes is not None else None
        n_empty = generator.settings.n_slots if generator is not None else 0
        return EngineStats(
            counters=self._counters,
            n_threads=self._residence.n_threads,
            running=generations.running if generations else 0,
            deferred=len(self._submitted) + (lanes.waiting if lanes is not None else 0),
            cells=generator.n_ctx if generator is not None else 0,
            cells_used=generations.cache.cells if generations else 0,
            slots=generations.slots() if generations else tuple(SlotState(slot, 0) for slot in range(n_empty)),
        )

    def stop(self) -> None:
        """Take no more requests; what is running ends with `EngineStopped`. Returns at once; see `join`."""
        with self._wake:
            self._stopping = True
            if self._loss is not None and not self.finished.done():
                self.finished.set_result(None)
            self._wake.notify()
        self._residence.interrupt()

    def lose(self, error: EngineError) -> None:
        """Give up: everything ends with `error`, and so does whatever is asked from now on.

        Called from any thread, where the one that computes may never come back from the backend, or has not noticed
        yet. Nobody calls the backend any more, not even to free it.
        """
        with self._wake:
            if self._loss is not None or self.finished.done():
                return
            self._loss = error
            self.lost.set_result(error)
            jobs, actions = list(self._jobs), list(self._actions)
            if not self.ready.done():
                self.ready.set_exception(error)
            if self._stopping:
                self.finished.set_result(None)
            self._wake.notify()
        for job in jobs:
            job.mailbox.put(job, error)
            job.mailbox.wake()
        for action in actions:
            _settle(action, error)

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing is computed any more, then free the backend. Nobody may use it any more.

        Called where it was submitted from, or when those event loops have been closed.
        """
        if self._thread.ident is not None:
            wait([self.finished], timeout)
        while self._mailboxes and self.finished.done():
            self._mailboxes.popitem()[1].close()
        if self.finished.done() and self._loss is None:
            self._residence.close(timeout)

    # -- between the threads ----------------------------------------------------------------------------------

    def _check_ready(self) -> None:
        if not self.ready.done():
            raise StillLoading
        if self._loss is not None:
            raise self._loss
        if self._stopping:
            raise EngineStopped
        self.ready.result()

    def _scales_of(self, scales: tuple[float, ...] | None) -> tuple[float, ...]:
        """`scales`, or those in force; one for each adapter."""
        if scales is None:
            return self._scales
        assert len(scales) == len(self._scales), "there is one scale for each adapter"
        assert all(map(math.isfinite, scales)), "scales are numbers"
        return scales

    def _mailbox(self) -> Mailbox:
        """Where results go that are asked for in this event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._mailboxes:
            self._mailboxes[loop] = Mailbox()
        return self._mailboxes[loop]

    def _queue(self, job: Job) -> None:
        with self._wake:
            if self._stopping:
                raise EngineStopped
            if self._loss is not None:
                raise self._loss
            if self._lanes is None:
                raise ModelAsleep(self)
            waiting = len(self._submitted) + self._lanes.waiting
            if waiting >= self._max_waiting:
                raise QueueFull(waiting)
            self._check_share(job.origin, waiting)
            self._jobs.add(job)
            self._submitted.append(job)
            self._wake.notify()

    def _check_share(self, origin: Origin, waiting: int) -> None:
        """Raises `OriginsShareFull`. Whoever waits is looked at only where there are enough of them for it."""
        if origin is None or may_wait(waiting, waiting, self._max_waiting):
            return
        own = sum(job.origin == origin and job.waits for job in self._jobs)
        if not may_wait(own, waiting, self._max_waiting):
            raise OriginsShareFull(own)

    def _abort(self, job: Job) -> None:
        with self._wake:
            self._aborted.add(job)
            self._wake.notify()

    def _do(self, action: Callable[[], T]) -> Future[T]:
        """The same for what is done with slots. Raises `CannotGenerate` too."""
        self.generator()
        return self.in_worker(action)

    def in_worker(self, action: Callable[[], T]) -> Future[T]:
        """Let the worker thread do `action` between two steps, as soon as it finds its slot free.

        Raises `EngineStopped`, or why the engine was given up.
        """
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()

        def task() -> None:
            try:
                _settle(done, action())
            except SlotBusy:
                with self._wake:
                    self._tasks.append(task)
            except (LoafError, OSError) as error:
                _settle(done, error)

        with self._wake:
            if self._stopping:
                raise EngineStopped
            if self._loss is not None:
                raise self._loss
            self._actions.add(done)
            done.add_done_callback(self._actions.discard)
            self._tasks.append(task)
            self._wake.notify()
        return done

    # -- in the engine's thread, or the worker's ---------------------------------------------------------------

    def _load_and_work(self) -> None:
        try:
            backend = self._residence.begin()
        except Exception as error:
            with self._wake:
                if self._loss is None:
                    self.ready.set_exception(error)
                    self.finished.set_result(None)
            return
        self._scales = tuple(adapter.scale for adapter in backend.adapters)
        if not self.is_asleep:
            self._lanes = self._lanes_over(backend)
        with self._wake:
            if self._loss is not None:
                return
            self.ready.set_result(backend)
        self._worker.work_for(self)

    def _lanes_over(self, backend: Backend) -> Lanes:
        return Lanes(
            backend,
            self._outbox,
            self._counters,
            shifts=self._shifts,
            shelf_bytes=self._shelf_bytes,
            checkpoints=self._checkpoints,
            breathe=self._breathe,
            aside=self._aside,
            disk=self._disk,
        )

    def _settle_in(self, backend: Backend) -> None:
        """Compute with `backend` from now on: the model has been loaded again. Raises `EngineStopped`."""
        lanes = self._lanes_over(backend)
        with self._wake:
            if self._stopping:
                raise EngineStopped
            self._lanes = lanes

    def _unload(self) -> None:
        """Free the backend, in whose thread this is done, unless there turns out to be something to compute."""
        lanes = self._loaded_lanes()
        if lanes.has_work() or self._submitted:
            self._residence.stay_awake()
            return
        self._aside = lanes.put_aside()
        self._lanes = None
        self._is_tidy = True
        self._residence.unload()

    def wants_turn(self) -> bool:
        """Whether there is anything to do; asked by the worker."""
        return self._has_news() or self._has_work()

    def wants_to_tidy(self) -> bool:
        """Whether there is something that can wait until nobody has anything else to do; asked by the worker."""
        return not self._is_tidy

    def take_turn(self, *, beside_others: bool) -> bool:
        """Take in what is new and compute batches, short ones where others wait; False when this was the last."""
        if self._loss is not None:
            return False
        try:
            if not self._stopping:
                self._take_in()
                if self._has_work():
                    self._work(beside_others=beside_others)
                    self._is_tidy = False
                else:
                    self._is_tidy = self._lanes is None or not self._lanes.tidy()
                    self._outbox.deliver()
                return True
        except BaseException as bug:
            self._fail_everything(EngineBroken())
            _settle(self.finished, bug)
        else:
            self._fail_everything(EngineStopped())
            _settle(self.finished, None)
        return False

    def _work(self, *, beside_others: bool) -> None:
        """Batches for as long as a turn lasts, until there is news or others wait."""
        lanes, began = self._loaded_lanes(), time.perf_counter()
        while True:
            lanes.step(beside_others=beside_others)
            self._outbox.deliver()
            if self._has_news() or not lanes.has_work() or self._worker.others_wait(self):
                return
            if time.perf_counter() - began >= TURN:
                return

    def _has_news(self) -> bool:
        return bool(self._submitted or self._aborted or self._tasks or self._stopping) or self._loss is not None

    def _take_in(self) -> None:
        if not self._has_news():
            return  # without the lock, as after most batches: what comes now is taken in after the next
        self._take_in_jobs()
        with self._wake:
            tasks, self._tasks = self._tasks, deque()
        for task in tasks:
            task()

    def _take_in_jobs(self) -> None:
        with self._wake:
            submitted, self._submitted = self._submitted, deque()
            aborted, self._aborted = self._aborted, set()
            for job in submitted:
                self._loaded_lanes().add(job)
        if self._lanes is not None:
            self._lanes.drop(aborted)

    def _breathe(self) -> bool:
        """In the middle of something long: take in what is new; False where it is to end.

        Tasks wait for its end: to unload the model, for whose last user it was, is one.
        """
        if self._stopping or self._loss is not None:
            return False
        self._take_in_jobs()
        return True

    def _has_work(self) -> bool:
        return self._lanes is not None and self._lanes.has_work()

    def _loaded_lanes(self) -> Lanes:
        assert self._lanes is not None, "the model is loaded"
        return self._lanes

    def _with_generations(self, action: Callable[..., T], *arguments: object) -> T:
        if self._lanes is None:
            raise ModelAsleep(self)
        generations = self._lanes.generations
        assert generations is not None, "`_do` refuses what has no generator"
        return action(generations, self.generator(), *arguments)

    def _fail_everything(self, error: EngineError) -> None:
        with self._wake:
            self._stopping = True
            for job in self._submitted:
                self._loaded_lanes().add(job)
            self._submitted.clear()
            tasks, self._tasks = self._tasks, deque()
        if self._lanes is not None:
            self._lanes.fail(error)
        for task in tasks:
            task()  # fails with `EngineStopped`, which `generator` raises
        self._outbox.deliver()


def _settle(future: Future[Any], result: Any) -> None:
    """Complete `future` with a result or an error, unless it has been given up meanwhile."""
    with suppress(InvalidStateError):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
