"""What is said after a batch: the next token of each sequence, and as many more as were guessed.

Knows what ends an answer by itself, and tells whoever asked of tokens and progress. Refuses to know what becomes of a
request that has come to its end (`endings.py`), and of the slots. Used by the worker thread only.
"""

from __future__ import annotations

import time

from runtime.engine.backend import Model
from runtime.engine.errors import EngineError
from runtime.engine.guessing import Guessing
from runtime.engine.jobs import Outbox
from runtime.engine.prefixes import Prefixes
from runtime.engine.running import Run
from runtime.engine.scheduler import Chunk
from runtime.engine.sequence import Sequence
from runtime.engine.stats import Counters
from runtime.engine.types import FinishReason, TokenEvent


class Answering:
    """Samples what `model` says next in a context of `n_ctx` tokens, and puts it into the `outbox`."""

    def __init__(
        self, model: Model, n_ctx: int, prefixes: Prefixes, guessing: Guessing, outbox: Outbox, counters: Counters
    ) -> None:
        self._model = model
        self._n_ctx = n_ctx
        self._prefixes = prefixes
        self._guessing = guessing
        self._outbox = outbox
        self._counters = counters

    def go_on(self, run: Run, chunk: Chunk, output: int) -> FinishReason | EngineError | None:
        """Sample the next token of a sequence whose tokens are all computed, and further ones while guesses are right.

        `output` is the batch's index of the sequence's last token; its guesses follow. Returns as `say_next`.
        """
        accepted = 0
        ending = self.say_next(run, output)
        for guess in chunk.draft:
            if ending is not None or run.sequence.tokens[-1] != guess:
                break
            accepted += 1
            ending = self.say_next(run, output + accepted)
        if chunk.draft:
            self._settle(run.sequence, chunk.draft, accepted)
        return ending

    def say_next(self, run: Run, output: int) -> FinishReason | EngineError | None:
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
        return sequence.reason_to_stop(self._n_ctx)

    def report(self, run: Run) -> None:
        """How far the prompt has come, where that is wanted."""
        sequence = run.sequence
        if sequence.request.reports_progress and not sequence.generated:
            self._outbox.put(run.generation, TokenEvent("", (), progress=sequence.progress()))

    def _settle(self, sequence: Sequence, draft: tuple[int, ...], accepted: int) -> None:
        """Keep what was computed of the guesses that were right, and drop the others."""
        self._prefixes.computed(sequence, list(draft[:accepted]))
        if accepted < len(draft):
            self._prefixes.cut(sequence, sequence.computed)
        self._counters.count_guesses(accepted)
        self._guessing.settle(sequence, len(draft), accepted)
