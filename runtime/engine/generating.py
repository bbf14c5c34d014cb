"""The worker's generations: admit what fits, plan a batch, compute it, sample, put the events into the outbox.

Knows the order of things. Who has a slot is `admission.py`'s, what goes into a batch `scheduler.py`'s, what is reused
`prefixes.py`'s, what is guessed `guessing.py`'s, what comes of a batch `answering.py`'s and `endings.py`'s, how it is
computed the backend's to know. Used by the worker thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runtime.engine.admission import Admission
from runtime.engine.answering import Answering
from runtime.engine.backend import BatchItem, Drafter, Generator, Model, PoolFull, Projector
from runtime.engine.beginnings import Scales
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.debts import SLIGHT, Debts
from runtime.engine.drafting import Drafting
from runtime.engine.endings import Endings
from runtime.engine.errors import DecodeFailed, EngineError, EngineStopped
from runtime.engine.guessing import Guessing
from runtime.engine.jobs import Generation, Job, Outbox
from runtime.engine.prefixes import Prefixes, PutAside
from runtime.engine.running import Run, Running
from runtime.engine.scheduler import Chunk, Limits, plan_batch
from runtime.engine.sequence import Sequence
from runtime.engine.showing import Showing
from runtime.engine.states import NOTHING_WARM, Warmth
from runtime.engine.stats import Counters, Occupant, SlotState
from runtime.engine.step_cost import StepCost
from runtime.engine.types import FinishReason

if TYPE_CHECKING:
    from runtime.engine.disk import Disk

T = TypeVar("T")


class Generations:
    """All requests for text, over one context.

    `shifts` where a full context forgets its oldest tokens and goes on. What nobody uses is kept beside the pool, in
    up to `shelf_bytes`; states to go back to, where the memory cannot be cut, within the limits of `checkpoints`.
    `breathe` takes in what is new in the middle of something long, and says whether to go on with it.
    `drafter` guesses what comes next; `projector` looks at pictures. What an earlier context was put `aside` of is gone
    on from; what memory has no room for goes to the `disk`.
    """

    def __init__(
        self,
        context: Generator,
        model: Model,
        outbox: Outbox,
        counters: Counters,
        *,
        shifts: bool = False,
        shelf_bytes: int = 0,
        checkpoints: CheckpointLimits | None = None,
        warmth: Warmth = NOTHING_WARM,
        breathe: Callable[[], bool] = lambda: True,
        drafter: Drafter | None = None,
        projector: Projector | None = None,
        aside: PutAside | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.prefixes = Prefixes(
            context, model.facts, shelf_bytes=shelf_bytes, limits=checkpoints, warmth=warmth, aside=aside, disk=disk
        )
        self.cache = self.prefixes.cache
        self._storage = self.prefixes.storage
        self._context = context
        self._outbox = outbox
        self._counters = counters
        self._breathe = breathe
        self._limits = Limits(batch=context.settings.n_batch, beside_streams=context.settings.n_ubatch)
        self._last_scales: Scales | None = None
        self._debts = Debts()
        self._guessing = _guessing(context, model, drafter)
        self._running = Running(self.cache, self._guessing)
        self._answering = Answering(model, context.n_ctx, self.prefixes, self._guessing, outbox, counters)
        self._admission = Admission(context, self.prefixes, self._running, self._answering, outbox)
        self._endings = Endings(self.prefixes, self._running, self._admission, outbox, counters, shifts=shifts)
        self._showing = Showing(
            context,
            projector,
            self.prefixes,
            self._running,
            self._answering,
            self._endings,
            outbox,
            counters,
            meanwhile=self._compute_others,
        )

    @property
    def waiting(self) -> int:
        return self._admission.waiting

    @property
    def running(self) -> int:
        return len(self._running.runs)

    def add(self, generation: Generation) -> None:
        """Let a new request wait for a slot."""
        self._admission.add(generation)

    def drop(self, aborted: set[Job]) -> None:
        """End those whose clients have gone."""
        self._admission.drop(aborted)
        self._endings.drop(aborted)

    def fail(self, error: EngineError) -> None:
        """End all of them."""
        self._endings.fail(error)
        self._admission.fail(error)

    def slots(self) -> tuple[SlotState, ...]:
        """Every KV sequence, in order."""
        running = {run.slot: run for run in self._running.runs}
        return tuple(
            _slot_state(slot, len(self.cache.tokens(slot)), running.get(slot))
            for slot in range(self._context.settings.n_slots)
        )

    def tidy(self) -> bool:
        """Move something out of the pool while there is nothing else to do; False when all is tidy."""
        return self._storage.tidy()

    def make_cache_room(self) -> bool:
        """Empty the oldest sequence that is only cache; False when there is none."""
        return self._storage.evict()

    def empty(self, slot: int) -> None:
        """Forget what a sequence holds that is not running."""
        self._storage.empty(slot)

    def step(self, *, beside_others: bool) -> None:
        """Admit, plan one batch, compute it, sample. Requests fail with errors of the backend; nothing is raised.

        `beside_others`: other models wait for their turn.
        """
        self._admission.admit()
        if self._running.streaming:
            self._stream_on(self._running.streaming)
            return
        self._guess()
        if self._compute_tokens(beside_others=beside_others):
            self._show_next()

    def compute_beside(self) -> bool:
        """A batch of those that wait for no picture, in the middle of looking at one; False where that is to end."""
        if not self._breathe():
            return False
        self._admission.admit()
        if any(sequence.piece is None for sequence in self._running.sequences):
            self._guess()
            self._compute_tokens(beside_others=True)
        self._outbox.deliver()
        return True

    def _guess(self) -> None:
        """Let streams guess what comes next, as long as the pool and the batch have room for all."""
        if not self._guessing.is_on:
            return
        streams = [sequence for sequence in self._running.sequences if not sequence.is_prefilling]
        n_ctx = self._context.n_ctx
        room = min(n_ctx - self.cache.cells, self._limits.batch) - len(streams)
        self._guessing.propose(streams, room, n_ctx)

    def _compute_tokens(self, *, beside_others: bool) -> bool:
        """One batch, if there is anything for it; False where it could not be computed."""
        self._running.streaming = ()
        running = self._running.sequences
        chunks = self._planned(running, beside_others=beside_others)
        if not chunks:
            return True
        self._last_scales = chunks[0].sequence.scales
        if any(chunk.count > 1 for chunk in chunks):
            self._outbox.deliver(now=True)  # a batch with a prompt takes long: nothing waits for it
        run_of = {run.sequence: run for run in self._running.runs}
        runs = tuple([run_of[chunk.sequence] for chunk in chunks])
        items = [_item(run, chunk) for run, chunk in zip(runs, chunks, strict=True)]
        began = time.perf_counter()
        outputs = self._compute(runs, lambda scales: self._context.decode(items, scales))
        if outputs is None:
            return False
        self._measure(chunks, time.perf_counter() - began)
        if len(chunks) < len(running):
            _note_yielding(running, chunks)
        elif not self._guessing.is_on and not any(sequence.is_prefilling for sequence in running):
            self._running.streaming = runs
        for run, chunk in zip(runs, chunks, strict=True):
            sequence = run.sequence
            self.prefixes.computed(sequence, sequence.tokens[chunk.start : chunk.start + chunk.count])
            self.prefixes.take_checkpoint(sequence)
            self._answering.report(run)
            output = outputs.get(run.slot)
            if output is not None:
                ending = self._go_on(run, chunk, output)
                if ending is not None:
                    self._endings.conclude(run, ending)
        if len(chunks) < len(running):
            self._debts.paid(time.perf_counter() - began)
        return True

    def _planned(self, running: list[Sequence], *, beside_others: bool) -> tuple[Chunk, ...]:
        """The next batch: of those that owe the others nothing, where that is anything to compute."""
        plan = partial(plan_batch, limits=self._limits, last=self._last_scales, beside_others=beside_others)
        return plan(self._debts.free(running)) or plan(running)

    def _go_on(self, run: Run, chunk: Chunk, output: int) -> FinishReason | EngineError | None:
        """Sample as `answering.py` does it, and note how long the others have to wait for what a grammar takes."""
        if not run.sequence.request.sampling.grammar:
            return self._answering.go_on(run, chunk, output)
        began = time.perf_counter()
        ending = self._answering.go_on(run, chunk, output)
        if self._debts.took(run.sequence, time.perf_counter() - began):
            self._running.streaming = ()  # the next batch is planned
        return ending

    def _stream_on(self, runs: tuple[Run, ...]) -> None:
        """The batch before once more, each sequence one token on: most are like that, and need not be planned anew."""
        tokens = [run.sequence.tokens[-1] for run in runs]
        outputs = self._compute(runs, lambda scales: self._context.decode_next(tokens, scales))
        if outputs is None:
            return
        self._count(len(runs), max([len(run.sequence.tokens) for run in runs]))
        began = time.perf_counter()
        for run, output in zip(runs, outputs, strict=True):
            self.prefixes.computed(run.sequence, run.sequence.tokens[-1:])
            ending = self._answering.say_next(run, output)
            if ending is not None:
                self._endings.conclude(run, ending)
        if time.perf_counter() - began > SLIGHT and any(run.sequence.request.sampling.grammar for run in runs):
            self._running.streaming = ()  # the next batch is planned, and whose grammar takes so long is found then

    def _compute(self, runs: tuple[Run, ...], decode: Callable[[Scales], T]) -> T | None:
        """What `decode` returns of the batch of `runs`; None where it could not be computed."""
        assert self._last_scales is not None, "a batch has been planned"
        try:
            return decode(self._last_scales)
        except PoolFull:
            self._running.streaming = ()  # the batch was filled, and not computed
            self._endings.make_room()
        except EngineStopped:
            pass  # in the middle of a batch; the engine ends its loop
        except DecodeFailed as error:
            self._endings.fail_batch(runs, error)
        return None

    def _show_next(self) -> None:
        """One step with the first picture that is waited for."""
        run = self._showing.show_next()
        if run is not None:
            self._last_scales = run.sequence.scales

    def _compute_others(self, run: Run) -> bool:
        """The same where the picture is that of `run`; False, too, where nobody wants that any more."""
        return self.compute_beside() and (run in self._running.runs or self._admission.is_waiting(run))

    def _measure(self, chunks: tuple[Chunk, ...], seconds: float) -> None:
        """Note that the batch took so long."""
        self._count(len(chunks), max([len(chunk.sequence.tokens) for chunk in chunks]))
        if self._guessing.is_on:
            self._guessing.measure(chunks, seconds)

    def _count(self, sequences: int, longest: int) -> None:
        """Note a batch of so many, the longest of which has so many tokens."""
        counters = self._counters
        counters.batches += 1
        counters.busy_slots += sequences
        counters.most_tokens = max(counters.most_tokens, longest)


def _guessing(context: Generator, model: Model, drafter: Drafter | None) -> Guessing:
    settings, facts, cost = context.settings, model.facts, StepCost()
    drafting = None if drafter is None else Drafting(drafter, settings, cost, facts.vocabulary_size)
    at_most = 0 if facts.keeps_state else settings.max_draft
    return Guessing(at_most, cost, looks_up=settings.looks_up, drafting=drafting)


def _note_yielding(running: list[Sequence], chunks: tuple[Chunk, ...]) -> None:
    """Let streams that sat out remember for how many tokens they did."""
    computed = {chunk.sequence for chunk in chunks}
    tokens = sum(chunk.count for chunk in chunks)
    for sequence in running:
        if sequence not in computed and not sequence.is_prefilling:
            sequence.yielded += tokens


def _item(run: Run, chunk: Chunk) -> BatchItem:
    sequence, start = chunk.sequence, chunk.start
    tokens = sequence.tokens[start : start + chunk.count]
    return BatchItem(run.slot, sequence.position(start), (*tokens, *chunk.draft), chunk.outputs)


def _slot_state(slot: int, held: int, run: Run | None) -> SlotState:
    return SlotState(slot, held, None if run is None else _occupant(run))


def _occupant(run: Run) -> Occupant:
    return Occupant(
        number=run.sequence.number,
        request=run.sequence.request,
        progress=run.sequence.progress(),
        has_ended_line=run.generation.wording.has_ended_line,
    )
