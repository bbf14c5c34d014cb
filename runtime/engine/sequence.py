"""One request's state while it is in the engine.

Knows its tokens and how many of them are computed. Refuses to know llama.cpp and the other sequences.
"""

from __future__ import annotations

import time

from runtime.engine.text import TextAssembler
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Usage


class Sequence:
    """A request, its tokens so far, and where it stands.

    `slot` is its KV sequence id, None while it waits. The first `computed` of `tokens` are in the KV cache; the token
    after the last is sampled when all of them are. `cached` of the prompt needed no computing. Times are those of
    `time.monotonic`, None for what has not happened.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.slot: int | None = None
        self.tokens = list(request.prompt)
        self.computed = 0
        self.cached = 0
        self.started_at: float | None = None
        self.first_token_at: float | None = None
        self.assembler = TextAssembler(request.stop)

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt)

    @property
    def pending(self) -> int:
        """How many tokens must still be computed before the next can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def is_prefilling(self) -> bool:
        """Whether more than the last sampled token is still to be computed."""
        return self.pending > 1 or self.generated == 0

    def finished(self, reason: FinishReason, text: str = "") -> FinishedEvent:
        """The event that ends this sequence now."""
        now = time.monotonic()
        started = self.started_at or now
        first = self.first_token_at or now
        usage = Usage(
            prompt_tokens=len(self.request.prompt),
            cached_tokens=self.cached,
            generated_tokens=self.generated,
            prompt_seconds=first - started,
            generation_seconds=now - first,
        )
        return FinishedEvent(reason, usage, text, self.assembler.stop_string)
