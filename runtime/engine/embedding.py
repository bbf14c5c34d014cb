"""The worker's embeddings: texts of all requests together, as many as a batch holds; one with pictures by itself.

Knows whose text is whose. How a batch is filled is `scheduler.py`'s, how it is computed the backend's to know; what is
done while a picture is looked at, whoever made this. Used by the worker thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import TypeVar

from runtime.engine.backend import Backend, Embedded, Embedder, Projector, Vectors
from runtime.engine.errors import EngineError, EngineStopped
from runtime.engine.jobs import Embedding, Job, Outbox
from runtime.engine.pieces import Piece, Prompt
from runtime.engine.scheduler import TextLimits, plan_texts
from runtime.engine.stats import Counters

T = TypeVar("T")

TOKENS_AT_ONCE = 512
"""Of several texts. Each token is held against all others of its batch, those of other texts too, if in vain: more at
once take longer. One text may have as many as the embedder takes."""

TOKENS_BESIDE_OTHERS = 128
"""The same while another model waits for its turn, for whose streams the batch is a gap."""


class Embeddings:
    """All requests for vectors, over one backend, whose embedder is made when the first comes.

    `meanwhile` computes something else in the middle of looking at a picture, and says whether to go on with that.
    """

    def __init__(
        self, backend: Backend, outbox: Outbox, counters: Counters, meanwhile: Callable[[], bool] = lambda: True
    ) -> None:
        self._backend = backend
        self._outbox = outbox
        self._counters = counters
        self._meanwhile = meanwhile
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

        Where the first text has pictures, it is one with that, or with the next of its pictures. `beside_others`: other
        models wait for their turn.
        """
        try:
            embedder = self._backend.embedder()
        except EngineError as error:
            self.fail(error)
            return
        first = self._waiting[0]
        text = first.waiting[0]
        if text.pieces:
            self._compute_parts(embedder, first, text)
        else:
            self._compute(embedder, TOKENS_BESIDE_OTHERS if beside_others else TOKENS_AT_ONCE)

    def _compute(self, embedder: Embedder, at_once: int) -> None:
        scales = self._waiting[0].scales
        jobs = [job for job in self._waiting if job.scales == scales]
        texts = [(job, text.tokens) for job in jobs for text in takewhile(_is_text, job.waiting)]
        limits = TextLimits(embedder.max_texts, min(embedder.max_batch, at_once))
        batch = texts[: plan_texts((len(text) for _job, text in texts), limits)]
        jobs = list(dict.fromkeys(job for job, _text in batch))
        vectors = self._tried(jobs, lambda: embedder.embed([text for _job, text in batch], scales))
        if vectors is not None:
            self._computed((job, len(text), one) for (job, text), one in zip(batch, vectors, strict=True))

    def _compute_parts(self, embedder: Embedder, job: Embedding, text: Prompt) -> None:
        projector = self._backend.projector
        assert projector is not None, "pieces come of one"
        for placed in text.pieces:
            if not projector.is_encoded(placed.piece):
                self._look_at(projector, placed.piece, job)
                return
        vectors = self._tried([job], lambda: embedder.embed_parts(text, job.scales))
        if vectors is not None:
            self._computed([(job, len(text.tokens), vectors)])

    def _look_at(self, projector: Projector, piece: Piece, job: Embedding) -> None:
        self._outbox.deliver(now=True)
        is_done = self._tried(
            [job], lambda: projector.encode(piece, lambda: self._meanwhile() and job in self._waiting)
        )
        self._counters.encoded += bool(is_done)
        self._waiting.rotate(-1)

    def _tried(self, jobs: Iterable[Embedding], compute: Callable[[], T]) -> T | None:
        """What `compute` returns; None where it fails, and with it those of `jobs` that still wait."""
        try:
            return compute()
        except EngineStopped:
            pass  # the engine ends its loop
        except EngineError as error:
            for job in jobs:
                if job in self._waiting:
                    self._waiting.remove(job)
                    self._outbox.put(job, error)
        return None

    def _computed(self, texts: Iterable[tuple[Embedding, int, Vectors]]) -> None:
        """Note the vectors of texts of so many tokens."""
        for job, n_tokens, vectors in texts:
            job.vectors.append(vectors)
            self._counters.embedded_texts += 1
            self._counters.embedded_tokens += n_tokens
        self._waiting.rotate(-1)  # a request with many texts does not hold up those with few
        for job in [job for job in self._waiting if not job.waiting]:
            self._waiting.remove(job)
            self._outbox.put(job, Embedded(tuple(job.vectors), self._backend.embedder().pooling))


def _is_text(text: Prompt) -> bool:
    return not text.pieces
