"""What goes into the engine and what comes out of it: frozen, and free of HTTP and of llama.cpp.

Names and defaults of sampling are llama-server's, so that the same settings mean the same text.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Sampling(msgspec.Struct, frozen=True):
    """How the next token is chosen. Defaults: llama.cpp's `common_params_sampling`.

    `seed` None draws a new one for each request; `temperature` <= 0 is greedy; `grammar` is GBNF, "" for none.
    """

    seed: int | None = None
    temperature: float = 0.8
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_n_sigma: float = -1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    min_keep: int = 0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    ignore_eos: bool = False
    grammar: str = ""


class GenerationRequest(msgspec.Struct, frozen=True):
    """Continue `prompt` (token ids). `max_tokens` None: until the model ends it or the context is full."""

    prompt: tuple[int, ...]
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    reuse_prefix: bool = True


class FinishReason(Enum):
    """Why a generation ended."""

    END_OF_TEXT = "end_of_text"
    """The model said so: an end-of-generation token."""
    STOP_STRING = "stop_string"
    MAX_TOKENS = "max_tokens"
    CONTEXT_FULL = "context_full"
    ABORTED = "aborted"


class TokenEvent(msgspec.Struct, frozen=True):
    """Text that is safe to show: whole characters, and no part of a stop string.

    `tokens` are those sampled since the last event; text may lag behind them.
    """

    text: str
    tokens: tuple[int, ...]


class Usage(msgspec.Struct, frozen=True):
    """Counts in tokens, times in seconds. `cached_tokens` of the prompt needed no computing."""

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    prompt_seconds: float
    generation_seconds: float


class FinishedEvent(msgspec.Struct, frozen=True):
    """The last event of a generation. `text` is what was still held back."""

    reason: FinishReason
    usage: Usage
    text: str = ""
    stop_string: str = ""


Event = TokenEvent | FinishedEvent
