"""One request's state while it is in the engine.

Knows its tokens and how many of them are computed. Refuses to know llama.cpp and the other sequences.
"""

from __future__ import annotations

import time

import msgspec

from runtime.engine.pieces import Piece, PlacedPiece, whole
from runtime.engine.turns import Asker
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Progress, Usage


class Sequence:
    """A request, its tokens so far, and where it stands.

    `slot` is its KV sequence id, None while it waits. The first `computed` of `tokens` are in the KV cache; the token
    after the last is sampled when all of them are. `draft` are guesses of what comes then. `cached` of the prompt
    needed no computing. At each of `stops`, ascending, a batch ends: something is to be done with what the memory holds
    then. `yielded` counts the tokens of batches which it sat out. `scales` of the adapters that it is
    computed with. `pieces` of its tokens that are no text are computed by themselves. Times are those of
    `time.monotonic`, None for what has not happened. `number` tells requests apart, in order of arrival,
    and `asker` who asked.
    """

    def __init__(
        self, request: GenerationRequest, scales: tuple[float, ...] = (), number: int = 0, asker: Asker = None
    ) -> None:
        self.request = request
        self.scales = scales
        self.number = number
        self.asker = asker
        self.slot: int | None = None
        self.tokens = list(request.prompt)
        self.draft: tuple[int, ...] = ()
        self.computed = 0
        self.cached = 0
        self.stops: tuple[int, ...] = ()
        self.pieces: tuple[PlacedPiece, ...] = request.pieces
        self.generated = 0
        self.yielded = 0
        self.drafted = 0
        self.accepted = 0
        self.shifted = False
        self.started_at: float | None = None
        self.first_token_at: float | None = None

    @property
    def pending(self) -> int:
        """How many tokens must still be computed before the next can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def until_stop(self) -> int:
        """How many of those go into a batch at most."""
        stop = next((stop for stop in self.stops if stop > self.computed), len(self.tokens))
        piece = next((placed.start for placed in self.pieces if placed.start >= self.computed), len(self.tokens))
        return min(stop, piece, len(self.tokens)) - self.computed

    @property
    def piece(self) -> Piece | None:
        """The piece that is to be computed next."""
        return next((placed.piece for placed in self.pieces if placed.start == self.computed), None)

    def position(self, index: int) -> int:
        """The position in the memory of the token number `index`."""
        return index - sum(placed.piece.skipped for placed in self.pieces if placed.start < index)

    @property
    def is_prefilling(self) -> bool:
        """Whether more than the last sampled token is still to be computed."""
        return not self.generated or len(self.tokens) - self.computed > 1

    def tokens_left(self, n_ctx: int) -> int:
        """How many tokens may still be sampled in a context of `n_ctx`."""
        left = n_ctx - len(self.tokens)
        limit = self.request.max_tokens
        return left if limit is None else min(left, limit - self.generated)

    def append(self, token: int) -> None:
        """`token` has been sampled."""
        self.tokens.append(token)
        self.generated += 1

    def shift(self) -> int:
        """Forget the older half of what follows the first `n_keep` tokens; returns how many computed tokens stay.

        What is left after those is computed anew, at its new place: cells that are only renumbered would remember
        what was forgotten, and other sequences may share them.
        """
        kept = self.request.n_keep if self.request.n_keep >= 0 else len(self.request.prompt)
        kept = whole(self.tokens, min(kept, len(self.tokens) - 2))
        end = kept + max(1, (len(self.tokens) - kept) // 2)
        end = next((placed.end for placed in self.pieces if placed.start < end < placed.end), end)
        del self.tokens[kept:end]
        self.pieces = (
            *(placed for placed in self.pieces if placed.start < kept),
            *(_moved(placed, end - kept) for placed in self.pieces if placed.start >= end),
        )
        self.computed = min(self.computed, kept)
        self.shifted = True
        return self.computed

    def reason_to_stop(self, n_ctx: int) -> FinishReason | None:
        """Why nothing more is to be sampled, if so, whatever the text says."""
        request = self.request
        if request.max_tokens is not None and self.generated >= request.max_tokens:
            return FinishReason.MAX_TOKENS
        if request.time_limit is not None and self._seconds_since_first_token() >= request.time_limit:
            return FinishReason.TIME_LIMIT
        if len(self.tokens) >= n_ctx:
            return FinishReason.CONTEXT_FULL
        return None

    def progress(self) -> Progress:
        """How far it has come by now."""
        return Progress(min(self.computed, len(self.request.prompt)), self._usage(time.monotonic()))

    def finished(self, reason: FinishReason, text: str = "", stop_string: str = "") -> FinishedEvent:
        """The event that ends this sequence now."""
        return FinishedEvent(reason, self._usage(time.monotonic()), text, stop_string, self.shifted, self.slot)

    def _seconds_since_first_token(self) -> float:
        return 0.0 if self.first_token_at is None else time.monotonic() - self.first_token_at

    def _usage(self, now: float) -> Usage:
        started = self.started_at or now
        first = self.first_token_at or now
        return Usage(
            prompt_tokens=len(self.request.prompt),
            cached_tokens=self.cached,
            generated_tokens=self.generated,
            prompt_seconds=first - started,
            generation_seconds=now - first,
            drafted_tokens=self.drafted,
            accepted_tokens=self.accepted,
        )


def _moved(placed: PlacedPiece, by: int) -> PlacedPiece:
    return msgspec.structs.replace(placed, start=placed.start - by)
