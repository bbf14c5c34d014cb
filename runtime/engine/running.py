"""The requests that have a slot: they come, give it back, or go on with other tokens.

Knows who they are, and whether they are the same as in the last batch. Refuses to know why they come and go. Used by
the worker thread only.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from runtime.engine.backend import Sampler
from runtime.engine.cache import PrefixCache
from runtime.engine.guessing import Guessing
from runtime.engine.jobs import Generation
from runtime.engine.sequence import Sequence
from runtime.engine.turns import Asker


class Run(msgspec.Struct, eq=False):
    """A request that waits or runs. It keeps its sampler, and so its random numbers, when it has to wait again."""

    generation: Generation
    sequence: Sequence
    sampler: Sampler | None = None

    @property
    def slot(self) -> int:
        """The KV sequence that it runs in."""
        assert self.sequence.slot is not None, "the sequence is not running"
        return self.sequence.slot

    def close_sampler(self) -> None:
        """It has ended."""
        if self.sampler is not None:
            self.sampler.close()
            self.sampler = None


class Running:
    """All that run now, in the order in which they got their slots of `cache`; `guessing` guesses for them."""

    def __init__(self, cache: PrefixCache, guessing: Guessing) -> None:
        self._cache = cache
        self._guessing = guessing
        self.runs: list[Run] = []
        self.streaming: tuple[Run, ...] = ()
        """Who had one token each in the last batch, if that was all, and nobody has come or gone since."""

    @property
    def sequences(self) -> list[Sequence]:
        return [run.sequence for run in self.runs]

    def askers(self) -> Counter[Asker]:
        """How many answers of each are running."""
        return Counter(run.sequence.asker for run in self.runs)

    def begin(self, run: Run) -> None:
        """`run` has got a slot."""
        self.runs.append(run)
        self.streaming = ()

    def go_on_with_others(self, run: Run) -> None:
        """`run` has other tokens than those it had."""
        self.streaming = ()
        self._guessing.forget(run.sequence)

    def release(self, run: Run) -> None:
        """Let others have the slot of `run`. What is computed of it stays, as long as there is room."""
        self.runs.remove(run)
        self.streaming = ()
        self._guessing.forget(run.sequence)
        self._cache.release(run.slot)
        run.sequence.slot = None
