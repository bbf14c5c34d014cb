"""The two kinds of work over one backend: generations, where the model generates at all, and embeddings.

Knows that neither may hold up the other. What a batch of either is, `generating.py` and `embedding.py` know. Used by
the worker thread only, but for what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.engine.backend import Backend
from runtime.engine.checkpoints import CheckpointLimits
from runtime.engine.embedding import Embeddings
from runtime.engine.errors import EngineError
from runtime.engine.generating import Generations
from runtime.engine.jobs import Embedding, Job, Outbox
from runtime.engine.prefixes import PutAside
from runtime.engine.stats import Counters

if TYPE_CHECKING:
    from runtime.engine.disk import Disk


class Lanes:
    """All requests that the worker thread has taken in. The others: see `Generations`."""

    def __init__(
        self,
        backend: Backend,
        outbox: Outbox,
        counters: Counters,
        *,
        shifts: bool,
        shelf_bytes: int,
        checkpoints: CheckpointLimits | None,
        breathe: Callable[[], bool],
        aside: PutAside | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.generations: Generations | None = None
        if backend.generator is not None:
            self.generations = Generations(
                backend.generator,
                backend.model,
                outbox,
                counters,
                shifts=shifts,
                shelf_bytes=shelf_bytes,
                checkpoints=checkpoints,
                warmth=backend.warmth,
                breathe=breathe,
                drafter=backend.drafter,
                projector=backend.projector,
                aside=aside,
                disk=disk,
            )
        meanwhile = breathe if self.generations is None else self.generations.compute_beside
        self._embeddings = Embeddings(backend, outbox, counters, meanwhile)

    @property
    def waiting(self) -> int:
        """How many requests have not begun."""
        return self._embeddings.waiting + (self.generations.waiting if self.generations else 0)

    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        generations = self.generations
        return bool((generations and (generations.running or generations.waiting)) or self._embeddings.waiting)

    def add(self, job: Job) -> None:
        """Let a new request wait for its turn."""
        if isinstance(job, Embedding):
            self._embeddings.add(job)
        else:
            assert self.generations is not None, "`Engine.submit` refuses what cannot be generated"
            self.generations.add(job)

    def drop(self, aborted: set[Job]) -> None:
        """End those whose clients have gone."""
        for lane in self._all():
            lane.drop(aborted)

    def fail(self, error: EngineError) -> None:
        """End all of them."""
        for lane in self._all():
            lane.fail(error)

    def step(self, *, beside_others: bool) -> None:
        """A batch of texts, if any wait, and one of generations: neither holds up the other for longer than that."""
        if self._embeddings.waiting:
            self._embeddings.step(beside_others=beside_others)
        if self.generations is not None:
            self.generations.step(beside_others=beside_others)

    def tidy(self) -> bool:
        """Do something that can wait until there is nothing else to do; False when all is tidy."""
        return self.generations is not None and self.generations.tidy()

    def put_aside(self) -> PutAside | None:
        """What of generations can be kept when the backend is closed; None where there are none. Nothing runs."""
        return None if self.generations is None else self.generations.prefixes.put_aside()

    def _all(self) -> list[Generations | Embeddings]:
        return [lane for lane in (self.generations, self._embeddings) if lane is not None]
