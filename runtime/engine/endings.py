"""How requests that run come to their end: said all, dropped, failed, or with no room left for one token more.

Knows what must be given back then, and who gives way where the pool is full. Refuses to know when it is time for that.
Used by the worker thread only.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.engine.admission import Admission
from runtime.engine.errors import DecodeFailed, EngineError
from runtime.engine.jobs import Job, Outbox
from runtime.engine.prefixes import Prefixes
from runtime.engine.running import Run, Running
from runtime.engine.stats import Counters
from runtime.engine.types import FinishedEvent, FinishReason


class Endings:
    """Ends those that are `running`, or lets them go on with less: they wait again, or forget where that `shifts`."""

    def __init__(
        self,
        prefixes: Prefixes,
        running: Running,
        admission: Admission,
        outbox: Outbox,
        counters: Counters,
        *,
        shifts: bool,
    ) -> None:
        self._prefixes = prefixes
        self._running = running
        self._admission = admission
        self._outbox = outbox
        self._counters = counters
        self._shifts = shifts

    def conclude(self, run: Run, ending: FinishReason | EngineError) -> None:
        """Nothing more can be sampled; a full context may be shifted."""
        if isinstance(ending, EngineError):
            self._end(run, ending)
        elif ending is FinishReason.CONTEXT_FULL and self._shifts:
            self._shift(run)
        else:
            self._finish(run, ending)

    def drop(self, aborted: set[Job]) -> None:
        """End those that run and whose clients have gone."""
        for run in [run for run in self._running.runs if run.generation in aborted]:
            self._end(run, run.sequence.finished(FinishReason.ABORTED))

    def fail(self, error: EngineError) -> None:
        """End all that run."""
        for run in list(self._running.runs):
            self._end(run, error)

    def fail_batch(self, runs: Iterable[Run], error: DecodeFailed) -> None:
        """End the requests of a batch that could not be computed; what the memory holds of them is unknown."""
        for run in [run for run in runs if run in self._running.runs]:
            slot = run.slot
            self._end(run, error)
            self._prefixes.storage.empty(slot)

    def make_room(self) -> None:
        """The pool is full: drop the oldest cache; else let the youngest wait again; else shift or end the only one."""
        if self._prefixes.storage.evict():
            return
        runs = self._running.runs
        if len(runs) > 1:
            self._admission.put_back(runs[-1])
        elif self._shifts:
            self._shift(runs[0])
        else:
            self._finish(runs[0], FinishReason.CONTEXT_FULL)

    def _finish(self, run: Run, reason: FinishReason) -> None:
        """End a sequence with the text that was held back, which may turn out to hold a stop string."""
        wording = run.generation.wording
        text = wording.finish() if wording.can_end else ""
        if wording.can_end and wording.stop_string:
            reason = FinishReason.STOP_STRING
        self._end(run, run.sequence.finished(reason, text, wording.stop_string))

    def _end(self, run: Run, event: FinishedEvent | EngineError) -> None:
        self._running.release(run)
        run.close_sampler()
        self._admission.has_ended()
        self._outbox.put(run.generation, event)
        if isinstance(event, FinishedEvent):
            self._counters.count(event)

    def _shift(self, run: Run) -> None:
        """Forget the older half, and go on. The rest is computed anew."""
        self._prefixes.cut(run.sequence, run.sequence.shift())
        self._running.go_on_with_others(run)
