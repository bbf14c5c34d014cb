"""The worker's embeddings: texts of all requests together, as many as a batch holds.

Knows whose text is whose. How a batch is filled is `scheduler.py`'s, how it is computed the backend's to know. Used
by the worker thread only.
"""

from __future__ import annotations

from collections import deque

from runtime.engine.backend import Backend, Embedded, Embedder
from runtime.engine.errors import EngineError, EngineStopped
from runtime.engine.jobs import Embedding, Job, Outbox
from runtime.engine.scheduler import TextLimits, plan_texts
from runtime.engine.stats import Counters

TOKENS_AT_ONCE = 512
"""Of several texts. Each token is held against all others of its batch, those of other texts too, if in vain: more at
once take longer. One text may have as many as the embedder takes."""

TOKENS_BESIDE_OTHERS = 128
"""The same while another model waits for its turn, for whose streams the batch is a gap."""


class Embeddings:
    """All requests for vectors, over one backend, whose embedder is made when the first comes."""

    def __init__(self, backend: Backend, outbox: Outbox, counters: Counters) -> None:
        self._backend = backend
        self._outbox = outbox
        self._counters = counters
        self._waiting: deque[Embedding] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, embedding: Embedding) -> None:
        """Let a new request wait for its turn."""
        self._waiting.append(embedding)

    def drop(self, aborted: set[Job]) -> None:
        """Forget those whose clients have gone."""
        self._waiting = deque(job for job in self._waiting if job not in aborted)

    def fail(self, error: EngineError) -> None:
        """End all of them."""
        for job in self._waiting:
            self._outbox.put(job, error)
        self._waiting.clear()

    def step(self, *, beside_others: bool) -> None:
        """Compute one batch: texts of the first request, and of those after it as long as there is room.

        `beside_others`: other models wait for their turn.
        """
        try:
            embedder = self._backend.embedder()
        except EngineError as error:
            self.fail(error)
            return
        self._compute(embedder, TOKENS_BESIDE_OTHERS if beside_others else TOKENS_AT_ONCE)

    def _compute(self, embedder: Embedder, at_once: int) -> None:
        scales = self._waiting[0].scales
        jobs = [job for job in self._waiting if job.scales == scales]
        texts = [(job, text) for job in jobs for text in job.waiting]
        limits = TextLimits(embedder.max_texts, min(embedder.max_batch, at_once))
        count = plan_texts((len(text) for _job, text in texts), limits)
        batch = texts[:count]
        try:
            vectors = embedder.embed([text for _job, text in batch], scales)
        except EngineStopped:
            return  # the engine ends its loop
        except EngineError as error:
            for job in dict.fromkeys(job for job, _text in batch):
                self._waiting.remove(job)
                self._outbox.put(job, error)
            return
        for (job, text), computed in zip(batch, vectors, strict=True):
            job.vectors.append(computed)
            self._counters.embedded_texts += 1
            self._counters.embedded_tokens += len(text)
        self._waiting.rotate(-1)  # a request with many texts does not hold up those with few
        for job in [job for job in self._waiting if not job.waiting]:
            self._waiting.remove(job)
            self._outbox.put(job, Embedded(tuple(job.vectors), embedder.pooling))
