"""Who waits for a slot, and who of them gets the next one that is free.

Knows whose turn it is (`turns.py`), and what else can keep a request waiting: a slot that it wants, a beginning that
another computes, a pool that is too full. Refuses to know what is computed then, and how requests end. Used by the
worker thread only.
"""

from __future__ import annotations

import time
from collections import deque

from runtime.engine.answering import Answering
from runtime.engine.backend import Generator
from runtime.engine.errors import EngineError
from runtime.engine.jobs import Generation, Job, Outbox
from runtime.engine.prefixes import Prefixes
from runtime.engine.running import Run, Running
from runtime.engine.sequence import Sequence
from runtime.engine.turns import Asker, Turns, gives_way
from runtime.engine.types import FinishReason


class Admission:
    """Lets requests join those that are `running`, which begin from `prefixes` in the memory of `context`.

    `answering` tells how far the prompt has come with that, `outbox` whoever asked of what cannot begin.
    """

    def __init__(
        self, context: Generator, prefixes: Prefixes, running: Running, answering: Answering, outbox: Outbox
    ) -> None:
        self._context = context
        self._prefixes = prefixes
        self._cache = prefixes.cache
        self._running = running
        self._answering = answering
        self._outbox = outbox
        self._waiting: deque[Run] = deque()
        self._turns = Turns()
        self._pool_is_short = False
        self._may_be_unfair = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def is_waiting(self, run: Run) -> bool:
        return run in self._waiting

    def admit(self) -> None:
        """Start what finds a free slot: askers in turn, and what each of them asks in order of arrival.

        Who shares a prefix that is being computed waits. So does who wants a slot that is not free.
        """
        if not self._waiting:
            return
        self._share()
        if not self._cache.has_free_slot() or self._pool_is_short:
            return
        running = self._running.askers()
        queues: dict[Asker, deque[Run]] = {}
        for run in self._waiting:
            queues.setdefault(run.sequence.asker, deque()).append(run)
        while queues and self._cache.has_free_slot() and not self._pool_is_short:
            asker = self._turns.next_of(queues, running)
            run = queues[asker].popleft()
            if not queues[asker]:
                del queues[asker]
            if not self._has_to_wait(run.sequence):
                self._waiting.remove(run)
                self._turns.give(asker)
                running[asker] += 1
                self._begin(run)
        if not self._waiting:
            self._prefixes.storage.make_way()

    # -- who waits --------------------------------------------------------------------------------------------

    def add(self, generation: Generation) -> None:
        """Let a new request wait for a slot."""
        self._waiting.append(Run(generation, generation.sequence))
        self._may_be_unfair = True

    def put_back(self, run: Run) -> None:
        """Let `run`, for which the pool has no room, wait again until another has ended; it is computed anew then."""
        slot = run.slot
        self._release(run)
        self._prefixes.storage.empty(slot)
        self._pool_is_short = True  # let in at once, it would be put out again
        self._wait_again(run)

    def has_ended(self) -> None:
        """One that ran has ended: there may be room for others."""
        self._may_be_unfair = True
        self._pool_is_short = False

    def drop(self, aborted: set[Job]) -> None:
        """End those that wait and whose clients have gone."""
        for run in [run for run in self._waiting if run.generation in aborted]:
            self._waiting.remove(run)
            run.close_sampler()
            self._outbox.put(run.generation, run.sequence.finished(FinishReason.ABORTED))

    def fail(self, error: EngineError) -> None:
        """End all that wait."""
        for run in self._waiting:
            run.close_sampler()
            self._outbox.put(run.generation, error)
        self._waiting.clear()

    # -- who begins -------------------------------------------------------------------------------------------

    def _share(self) -> None:
        """Let one of several answers of the same asker wait again, where all slots are taken and somebody has none.

        What is computed of it stays, as long as there is room. Looked at only when somebody has come or gone.
        """
        if not self._may_be_unfair or self._cache.has_free_slot():
            return
        self._may_be_unfair = False
        running = self._running.askers()
        left_out = (run for run in self._waiting if not running[run.sequence.asker])
        could_run = (run.sequence.asker for run in left_out if not self._has_to_wait(run.sequence))
        asker = gives_way(could_run, running)
        if asker is not None:
            run = next(run for run in reversed(self._running.runs) if run.sequence.asker == asker)
            self._release(run)
            self._wait_again(run)

    def _has_to_wait(self, sequence: Sequence) -> bool:
        return self._waits_for_its_slot(sequence) or (
            sequence.request.reuse_prefix and self._prefixes.is_coming(sequence, self._running.sequences)
        )

    def _waits_for_its_slot(self, sequence: Sequence) -> bool:
        wanted = sequence.request.slot
        return wanted is not None and self._cache.is_running(wanted)

    def _begin(self, run: Run) -> None:
        """Give a waiting request a slot and whatever prefix of it is computed already."""
        sequence = run.sequence
        if run.sampler is None:
            try:
                run.sampler = self._context.new_sampler(sequence.request.sampling, sequence.tokens)
            except EngineError as error:
                self._outbox.put(run.generation, error)
                return
        self._prefixes.begin(sequence)
        if sequence.started_at is None:
            sequence.started_at = time.monotonic()
            sequence.cached = sequence.computed
        self._running.begin(run)
        self._answering.report(run)

    def _release(self, run: Run) -> None:
        self._running.release(run)
        self._may_be_unfair = True

    def _wait_again(self, run: Run) -> None:
        run.sequence.computed = 0
        self._waiting.appendleft(run)
