"""The worker's generations: admit what fits, plan a batch, compute it, sample, put the events into the outbox.

Knows the order of things. What goes into a batch is `scheduler.py`'s, what is reused `prefixes.py`'s, what is guessed
`guessing.py`'s, how it is computed the backend's to know. Used by the worker thread only.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from runtime.engine.backend import NOTHING_WARM, BatchItem, Drafter, Generator, Model, PoolFull, Sampler, Warmth
from runtime.engine.beginnings import Scales
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.drafting import Drafting
from runtime.engine.errors import DecodeFailed, EngineError, EngineStopped
from runtime.engine.guessing import Guessing
from runtime.engine.jobs import Generation, Job, Outbox
from runtime.engine.prefixes import Prefixes
from runtime.engine.scheduler import Chunk, Limits, plan_batch
from runtime.engine.sequence import Sequence
from runtime.engine.stats import Counters, Occupant, SlotState
from runtime.engine.step_cost import StepCost
from runtime.engine.turns import Asker, Turns, gives_way
from runtime.engine.types import FinishedEvent, FinishReason, TokenEvent

T = TypeVar("T")


class _Run(msgspec.Struct, eq=False):
    """A request that waits or runs. It keeps its sampler, and so its random numbers, when it has to wait again."""

    generation: Generation
    sequence: Sequence
    sampler: Sampler | None = None


class Generations:
    """All requests for text, over one context.

    `shifts` where a full context forgets its oldest tokens and goes on. What nobody uses is kept beside the pool, in
    up to `shelf_bytes`; states to go back to, where the memory cannot be cut, within the limits of `checkpoints`.
    `breathe` takes in what is new in the middle of something long, and says whether to go on with it.
    `drafter` guesses what comes next.
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
    ) -> None:
        self._breathe = breathe
        settings = context.settings
        self.prefixes = Prefixes(context, model.facts, shelf_bytes=shelf_bytes, limits=checkpoints, warmth=warmth)
        self.cache = self.prefixes.cache
        self._context = context
        self._model = model
        self._outbox = outbox
        self._counters = counters
        self._shifts = shifts
        self._storage = self.prefixes.storage
        cost = StepCost()
        drafting = None if drafter is None else Drafting(drafter, settings, cost, model.facts.vocabulary_size)
        at_most = 0 if model.facts.keeps_state else settings.max_draft
        self._guessing = Guessing(at_most, cost, looks_up=settings.looks_up, drafting=drafting)
        self._limits = Limits(batch=settings.n_batch, beside_streams=settings.n_ubatch)
        self._waiting: deque[_Run] = deque()
        self._running: list[_Run] = []
        self._pool_is_short = False
        self._last_scales: Scales | None = None
        self._streaming: tuple[_Run, ...] = ()
        """Who had one token each in the last batch, if that was all, and nobody has come or gone since."""
        self._turns = Turns()
        self._may_be_unfair = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def add(self, generation: Generation) -> None:
        """Let a new request wait for a slot."""
        self._waiting.append(_Run(generation, generation.sequence))
        self._may_be_unfair = True

    def drop(self, aborted: set[Job]) -> None:
        """End those whose clients have gone."""
        for run in [run for run in self._waiting if run.generation in aborted]:
            self._waiting.remove(run)
            _close_sampler(run)
            self._outbox.put(run.generation, run.sequence.finished(FinishReason.ABORTED))
        for run in [run for run in self._running if run.generation in aborted]:
            self._end(run, run.sequence.finished(FinishReason.ABORTED))

    def fail(self, error: EngineError) -> None:
        """End all of them."""
        for run in list(self._running):
            self._end(run, error)
        for run in self._waiting:
            _close_sampler(run)
            self._outbox.put(run.generation, error)
        self._waiting.clear()

    def slots(self) -> tuple[SlotState, ...]:
        """Every KV sequence, in order."""
        running = {run.sequence.slot: run for run in self._running}
        return tuple(
            _slot_state(slot, len(self.cache.tokens(slot)), running.get(slot))
            for slot in range(self._context.settings.n_slots)
        )

    def tidy(self) -> bool:
        """Move something out of the pool while there is nothing else to do; False when all is tidy."""
        return self._storage.tidy()

    def step(self, *, beside_others: bool) -> None:
        """Admit, plan one batch, compute it, sample. Requests fail with errors of the backend; nothing is raised.

        `beside_others`: other models wait for their turn.
        """
        self._admit_waiting()
        if self._streaming:
            self._stream_on(self._streaming)
            return
        self._guess()
        if self._compute_tokens(beside_others=beside_others):
            self._compute_piece()

    # -- batches ----------------------------------------------------------------------------------------------

    def _compute_tokens(self, *, beside_others: bool) -> bool:
        """One batch, if there is anything for it; False where it could not be computed."""
        self._streaming = ()
        running = [run.sequence for run in self._running]
        chunks = plan_batch(running, self._limits, self._last_scales, beside_others=beside_others)
        if not chunks:
            return True
        self._last_scales = chunks[0].sequence.scales
        if any(chunk.count > 1 for chunk in chunks):
            self._outbox.deliver(now=True)  # a batch with a prompt takes long: nothing waits for it
        run_of = {run.sequence: run for run in self._running}
        runs = tuple([run_of[chunk.sequence] for chunk in chunks])
        items = [_item(chunk) for chunk in chunks]
        began = time.perf_counter()
        outputs = self._compute(runs, lambda scales: self._context.decode(items, scales))
        if outputs is None:
            return False
        self._measure(chunks, time.perf_counter() - began)
        if len(chunks) < len(running):
            _note_yielding(running, chunks)
        elif not self._guessing.is_on and not any(sequence.is_prefilling for sequence in running):
            self._streaming = runs
        for run, chunk in zip(runs, chunks, strict=True):
            sequence = run.sequence
            self.prefixes.computed(sequence, sequence.tokens[chunk.start : chunk.start + chunk.count])
            self.prefixes.take_checkpoint(sequence)
            self._report(run)
            output = outputs.get(_slot(sequence))
            if output is not None:
                self._go_on(run, chunk, output)
        return True

    def _stream_on(self, runs: tuple[_Run, ...]) -> None:
        """The batch before once more, each sequence one token on: most are like that, and need not be planned anew."""
        tokens = [run.sequence.tokens[-1] for run in runs]
        outputs = self._compute(runs, lambda scales: self._context.decode_next(tokens, scales))
        if outputs is None:
            return
        self._count(len(runs), max([len(run.sequence.tokens) for run in runs]))
        for run, output in zip(runs, outputs, strict=True):
            self.prefixes.computed(run.sequence, run.sequence.tokens[-1:])
            ending = self._sample_next(run, output)
            if ending is not None:
                self._conclude(run, ending)

    def _compute(self, runs: tuple[_Run, ...], decode: Callable[[Scales], T]) -> T | None:
        """What `decode` returns of the batch of `runs`; None where it could not be computed."""
        assert self._last_scales is not None, "a batch has been planned"
        try:
            return decode(self._last_scales)
        except PoolFull:
            self._streaming = ()  # the batch was filled, and not computed
            self._make_room()
        except EngineStopped:
            pass  # in the middle of a batch; the engine ends its loop
        except DecodeFailed as error:
            self._fail_batch(runs, error)
        return None

    def _compute_piece(self) -> None:
        """One step with the first picture that is waited for: what it shows is found out, or put into the memory.

        Streams get their tokens between the two, and while it is looked at.
        """
        run = next((run for run in self._running if run.sequence.piece is not None), None)
        if run is None:
            return
        sequence, piece = run.sequence, run.sequence.piece
        assert piece is not None, "it was looked for"
        self._outbox.deliver(now=True)
        try:
            if not self._context.is_encoded(piece):
                self._counters.encoded += self._context.encode(piece, lambda: self._compute_others(run))
                return
            slot, place = _slot(sequence), sequence.position(sequence.computed)

            def others() -> bool:
                return self._compute_others(run) and run in self._running

            if not self._context.decode_piece(slot, place, piece, sequence.scales, others):
                if run in self._running:
                    self.prefixes.cut(sequence, sequence.computed)
                elif not self.cache.is_running(slot):  # whoever runs there now has cut it
                    self.empty(slot)
                return
        except PoolFull:
            self.prefixes.cut(sequence, sequence.computed)  # a part of it may have found room
            self._make_room()
        except EngineStopped:
            pass
        except DecodeFailed as error:
            self._fail_batch((run,), error)
        else:
            self._last_scales = sequence.scales
            self.prefixes.computed(sequence, list(piece.tokens))
            self.prefixes.take_checkpoint(sequence)
            self._report(run)

    def _compute_others(self, run: _Run) -> bool:
        """A batch of those that do not wait for pictures, in the middle of looking at that of `run`.

        False where nobody wants that any more.
        """
        if not self._breathe():
            return False
        self._admit_waiting()
        if any(one.sequence.piece is None for one in self._running):
            self._guess()
            self._compute_tokens(beside_others=True)
        self._outbox.deliver()
        return run in self._running or run in self._waiting

    # -- before a batch ---------------------------------------------------------------------------------------

    def _admit_waiting(self) -> None:
        """Start what finds a free slot: askers in turn, and what each of them asks in order of arrival.

        Who shares a prefix that is being computed waits. So does who wants a slot that is not free.
        """
        if not self._waiting:
            return
        self._share()
        if not self.cache.has_free_slot() or self._pool_is_short:
            return
        running = self._askers()
        queues: dict[Asker, deque[_Run]] = {}
        for run in self._waiting:
            queues.setdefault(run.sequence.asker, deque()).append(run)
        while queues and self.cache.has_free_slot() and not self._pool_is_short:
            asker = self._turns.next_of(queues, running)
            run = queues[asker].popleft()
            if not queues[asker]:
                del queues[asker]
            if not self._has_to_wait(run.sequence):
                self._waiting.remove(run)
                self._turns.give(asker)
                running[asker] += 1
                self._admit(run)
        if not self._waiting:
            self._storage.make_way()

    def _share(self) -> None:
        """Let one of several answers of the same asker wait again, where all slots are taken and somebody has none.

        What is computed of it stays, as long as there is room. Looked at only when somebody has come or gone.
        """
        if not self._may_be_unfair or self.cache.has_free_slot():
            return
        self._may_be_unfair = False
        running = self._askers()
        left_out = (run for run in self._waiting if not running[run.sequence.asker])
        could_run = (run.sequence.asker for run in left_out if not self._has_to_wait(run.sequence))
        asker = gives_way(could_run, running)
        if asker is not None:
            run = next(run for run in reversed(self._running) if run.sequence.asker == asker)
            self._release(run)
            run.sequence.computed = 0
            self._waiting.appendleft(run)

    def _askers(self) -> Counter[Asker]:
        """How many answers of each are running."""
        return Counter(run.sequence.asker for run in self._running)

    def _has_to_wait(self, sequence: Sequence) -> bool:
        return self._waits_for_its_slot(sequence) or (
            sequence.request.reuse_prefix and self.prefixes.is_coming(sequence, [run.sequence for run in self._running])
        )

    def _waits_for_its_slot(self, sequence: Sequence) -> bool:
        wanted = sequence.request.slot
        return wanted is not None and self.cache.is_running(wanted)

    def _admit(self, run: _Run) -> None:
        """Give a waiting request a slot and whatever prefix of it is computed already."""
        sequence = run.sequence
        if run.sampler is None:
            try:
                run.sampler = self._context.new_sampler(sequence.request.sampling, sequence.tokens)
            except EngineError as error:
                self._outbox.put(run.generation, error)
                return
        self.prefixes.begin(sequence)
        if sequence.started_at is None:
            sequence.started_at = time.monotonic()
            sequence.cached = sequence.computed
        self._running.append(run)
        self._streaming = ()
        self._report(run)

    def _guess(self) -> None:
        """Let streams guess what comes next, as long as the pool and the batch have room for all."""
        if not self._guessing.is_on:
            return
        streams = [run.sequence for run in self._running if not run.sequence.is_prefilling]
        n_ctx = self._context.n_ctx
        room = min(n_ctx - self.cache.cells, self._limits.batch) - len(streams)
        self._guessing.propose(streams, room, n_ctx)

    # -- after a batch ----------------------------------------------------------------------------------------

    def _go_on(self, run: _Run, chunk: Chunk, output: int) -> None:
        """Sample the next token of a sequence whose tokens are all computed, and further ones while guesses are right.

        `output` is the batch's index of the sequence's last token; its guesses follow.
        """
        accepted = 0
        ending = self._sample_next(run, output)
        for guess in chunk.draft:
            if ending is not None or run.sequence.tokens[-1] != guess:
                break
            accepted += 1
            ending = self._sample_next(run, output + accepted)
        if chunk.draft:
            self._settle(run.sequence, chunk.draft, accepted)
        if ending is not None:
            self._conclude(run, ending)

    def _conclude(self, run: _Run, ending: FinishReason | EngineError) -> None:
        """Nothing more can be sampled; a full context may be shifted."""
        if isinstance(ending, EngineError):
            self._end(run, ending)
        elif ending is FinishReason.CONTEXT_FULL and self._shifts:
            self._shift(run)
        else:
            self._finish(run, ending)

    def _sample_next(self, run: _Run, output: int) -> FinishReason | EngineError | None:
        """One more token; returns what ends the sequence with it, or made sampling fail."""
        sequence = run.sequence
        if sequence.first_token_at is None:
            sequence.first_token_at = time.monotonic()
        if sequence.request.max_tokens == 0:
            return FinishReason.MAX_TOKENS
        assert run.sampler is not None, "the request has been admitted"
        try:
            sampled = run.sampler.sample(output)
        except EngineError as error:
            return error
        sequence.append(sampled.token)
        if self._model.ends_generation(sampled.token):
            return FinishReason.END_OF_TEXT
        wording = run.generation.wording
        text = wording.push(sampled.token) if wording.can_end else None
        progress = sequence.progress() if sequence.request.reports_progress else None
        self._outbox.tell(run.generation, sampled, text, progress)
        if sequence.generated == 1:
            self._outbox.hurry()
        if wording.can_end and wording.ending is not None:
            return wording.ending
        return sequence.reason_to_stop(self._context.n_ctx)

    def _report(self, run: _Run) -> None:
        """How far the prompt has come, where that is wanted."""
        sequence = run.sequence
        if sequence.request.reports_progress and not sequence.generated:
            self._outbox.put(run.generation, TokenEvent("", (), progress=sequence.progress()))

    def _settle(self, sequence: Sequence, draft: tuple[int, ...], accepted: int) -> None:
        """Keep what was computed of the guesses that were right, and drop the others."""
        self.prefixes.computed(sequence, list(draft[:accepted]))
        if accepted < len(draft):
            self.prefixes.cut(sequence, sequence.computed)
        self._counters.count_guesses(accepted)
        self._guessing.settle(sequence, len(draft), accepted)

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

    # -- endings ----------------------------------------------------------------------------------------------

    def _finish(self, run: _Run, reason: FinishReason) -> None:
        """End a sequence with the text that was held back, which may turn out to hold a stop string."""
        wording = run.generation.wording
        text = wording.finish() if wording.can_end else ""
        if wording.can_end and wording.stop_string:
            reason = FinishReason.STOP_STRING
        self._end(run, run.sequence.finished(reason, text, wording.stop_string))

    def _end(self, run: _Run, event: FinishedEvent | EngineError) -> None:
        self._release(run)
        _close_sampler(run)
        self._pool_is_short = False
        self._outbox.put(run.generation, event)
        if isinstance(event, FinishedEvent):
            self._counters.count(event)

    def _release(self, run: _Run) -> None:
        self._running.remove(run)
        self._streaming = ()
        self._may_be_unfair = True
        self._guessing.forget(run.sequence)
        self.cache.release(_slot(run.sequence))
        run.sequence.slot = None

    def _fail_batch(self, runs: Iterable[_Run], error: DecodeFailed) -> None:
        """End the requests of a batch that could not be computed; what the memory holds of them is unknown."""
        for run in [run for run in runs if run in self._running]:
            slot = _slot(run.sequence)
            self._end(run, error)
            self.empty(slot)

    # -- room in the pool -------------------------------------------------------------------------------------

    def make_cache_room(self) -> bool:
        """Empty the oldest sequence that is only cache; False when there is none."""
        return self._storage.evict()

    def empty(self, slot: int) -> None:
        """Forget what a sequence holds that is not running."""
        self._storage.empty(slot)

    def _make_room(self) -> None:
        """The pool is full: drop the oldest cache; else let the youngest wait again; else shift or end the only one."""
        if self.make_cache_room():
            return
        if len(self._running) > 1:
            self._put_back(self._running[-1])
        elif self._shifts:
            self._shift(self._running[0])
        else:
            self._finish(self._running[0], FinishReason.CONTEXT_FULL)

    def _put_back(self, run: _Run) -> None:
        slot = _slot(run.sequence)
        self._release(run)
        self.empty(slot)
        run.sequence.computed = 0
        self._pool_is_short = True  # until another ends: let in at once, it would be put out again
        self._waiting.appendleft(run)

    def _shift(self, run: _Run) -> None:
        """Forget the older half, and go on. The rest is computed anew."""
        self.prefixes.cut(run.sequence, run.sequence.shift())
        self._streaming = ()
        self._guessing.forget(run.sequence)


def _close_sampler(run: _Run) -> None:
    if run.sampler is not None:
        run.sampler.close()
        run.sampler = None


def _note_yielding(running: list[Sequence], chunks: tuple[Chunk, ...]) -> None:
    """Let streams that sat out remember for how many tokens they did."""
    computed = {chunk.sequence for chunk in chunks}
    tokens = sum(chunk.count for chunk in chunks)
    for sequence in running:
        if sequence not in computed and not sequence.is_prefilling:
            sequence.yielded += tokens


def _item(chunk: Chunk) -> BatchItem:
    sequence, start = chunk.sequence, chunk.start
    tokens = sequence.tokens[start : start + chunk.count]
    return BatchItem(_slot(sequence), sequence.position(start), (*tokens, *chunk.draft), chunk.outputs)


def _slot(sequence: Sequence) -> int:
    assert sequence.slot is not None, "the sequence is not running"
    return sequence.slot


def _slot_state(slot: int, held: int, run: _Run | None) -> SlotState:
    return SlotState(slot, held, None if run is None else _occupant(run))


def _occupant(run: _Run) -> Occupant:
    return Occupant(
        number=run.sequence.number,
        request=run.sequence.request,
        progress=run.sequence.progress(),
        has_ended_line=run.generation.wording.has_ended_line,
    )
