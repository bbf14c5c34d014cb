"""Numbers of the whole engine, for `/metrics` and `/slots`: counted by the worker, read by anyone.

Counts only grow; gauges say how it is now. Knows no format they may be written in.
"""

from __future__ import annotations

import msgspec

from runtime.engine.types import FinishedEvent, GenerationRequest, Progress


class Counters(msgspec.Struct):
    """Since the start. Tokens, seconds, requests and batches. The worker thread alone writes them.

    `prompt_tokens` were computed, `cached_tokens` did not need to be; a request with some of those is a prefix hit.
    `drafts` is how often anything was guessed, `accepted_at` how often the first of the guesses was right, the second,
    and so on. `encoded` pictures, or parts of one, were looked at. `busy_slots` sums up how many sequences each batch
    had.
    """

    requests: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_seconds: float = 0.0
    generated_tokens: int = 0
    generation_seconds: float = 0.0
    drafts: int = 0
    accepted_at: tuple[int, ...] = ()
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    embedded_texts: int = 0
    embedded_tokens: int = 0
    encoded: int = 0
    batches: int = 0
    busy_slots: int = 0
    most_tokens: int = 0

    def count(self, event: FinishedEvent) -> None:
        """A generation has ended."""
        usage = event.usage
        self.requests += 1
        self.prefix_hits += usage.cached_tokens > 0
        self.prompt_tokens += usage.prompt_tokens - usage.cached_tokens
        self.cached_tokens += usage.cached_tokens
        self.prompt_seconds += usage.prompt_seconds
        self.generated_tokens += usage.generated_tokens
        self.generation_seconds += usage.generation_seconds
        self.drafted_tokens += usage.drafted_tokens
        self.accepted_tokens += usage.accepted_tokens

    def count_guesses(self, accepted: int) -> None:
        """Of guesses that were computed the first `accepted` were right."""
        self.drafts += 1
        at = [*self.accepted_at, *[0] * (accepted - len(self.accepted_at))]
        self.accepted_at = tuple(count + (i < accepted) for i, count in enumerate(at))


class Occupant(msgspec.Struct, frozen=True):
    """A request that runs; `number` tells it from others. `has_ended_line`: its text has a line end."""

    number: int
    request: GenerationRequest
    progress: Progress
    has_ended_line: bool


class SlotState(msgspec.Struct, frozen=True):
    """A KV sequence: how many tokens it holds, and the request that runs in it, if one does."""

    slot: int
    held_tokens: int
    occupant: Occupant | None = None


class EngineStats(msgspec.Struct, frozen=True):
    """The engine now. `cells_used` of `cells` in the KV pool hold a token; `deferred` requests wait for a slot.

    `n_threads` compute: fewer than there are while others need the processors.
    """

    counters: Counters
    n_threads: int
    running: int
    deferred: int
    cells: int
    cells_used: int
    slots: tuple[SlotState, ...]
