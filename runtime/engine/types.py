"""What goes into the engine and what comes out of it: frozen, and free of HTTP and of llama.cpp.

Names and defaults of sampling are llama-server's, so that the same settings mean the same text.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from runtime.engine.pieces import PlacedPiece, Prompt
from runtime.engine.thoughts import ThoughtLimit

DEFAULT_SAMPLERS = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""The order in which samplers look at the candidates: llama.cpp's `common_params_sampling.samplers`, by its names."""

SAMPLERS = (*DEFAULT_SAMPLERS, "adaptive_p")
"""All that may be named. `adaptive_p` takes the place of drawing from the distribution, wherever it is named."""


class Triggers(msgspec.Struct, frozen=True):
    """What makes a lazy grammar begin: one of `words` in the text, or one of `tokens`. It holds from there on."""

    words: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()


class Sampling(msgspec.Struct, frozen=True):
    """How the next token is chosen. Defaults: llama.cpp's `common_params_sampling`.

    `seed` None draws a new one for each request; `temperature` <= 0 is greedy; `logit_bias` pairs tokens with what is
    added to their logits; `grammar` is GBNF, "" for none, and holds from the beginning unless it has `triggers`.
    With `n_probs` each token comes with the probabilities of so many, before sampling unless `post_sampling_probs`.
    `thoughts` bounds how much is thought; None: nothing does.
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
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    adaptive_target: float = -1.0
    adaptive_decay: float = 0.9
    samplers: tuple[str, ...] = DEFAULT_SAMPLERS
    ignore_eos: bool = False
    logit_bias: tuple[tuple[int, float], ...] = ()
    grammar: str = ""
    triggers: Triggers | None = None
    n_probs: int = 0
    post_sampling_probs: bool = False
    thoughts: ThoughtLimit | None = None


class GenerationRequest(msgspec.Struct, frozen=True):
    """Continue `prompt` (token ids). `max_tokens` None: until the model ends it or the context is full.

    `time_limit` in seconds from the first token on. `n_keep` first tokens stay when the context is shifted, -1 for the
    whole prompt. `scales` of the LoRA adapters, None for those in force. `shown` are special tokens whose text is part
    of the answer's; others say nothing. Lines after the first have `n_indent` spaces or tabs before them: one with
    fewer ends the answer. With `reports_progress`, events tell how far it has come, those of the prompt included.
    `slot` is the KV sequence that it is to run in, as soon as that is free; None for any. `turns` are numbers of tokens
    of the prompt after which it may be gone on with in another way: before the last turn, say. `pieces` are those that
    numbers of the prompt stand for, in order.
    """

    prompt: tuple[int, ...]
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    reuse_prefix: bool = True
    time_limit: float | None = None
    n_keep: int = 0
    scales: tuple[float, ...] | None = None
    shown: frozenset[int] = frozenset()
    n_indent: int = 0
    reports_progress: bool = False
    slot: int | None = None
    turns: tuple[int, ...] = ()
    pieces: tuple[PlacedPiece, ...] = ()


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """Turn each of `texts` into vectors. `scales` as in `GenerationRequest`."""

    texts: tuple[Prompt, ...]
    scales: tuple[float, ...] | None = None


class FinishReason(Enum):
    """Why a generation ended."""

    END_OF_TEXT = "end_of_text"
    """The model said so: an end-of-generation token."""
    STOP_STRING = "stop_string"
    MAX_TOKENS = "max_tokens"
    CONTEXT_FULL = "context_full"
    TIME_LIMIT = "time_limit"
    INDENTATION = "indentation"
    """A line began further to the left than the request wanted."""
    ABORTED = "aborted"


class TokenProbability(msgspec.Struct, frozen=True):
    """A token and how probable it was, from 0 to 1."""

    token: int
    probability: float


class Probabilities(msgspec.Struct, frozen=True):
    """The token that was sampled, and the most probable ones at its place, best first."""

    sampled: TokenProbability
    top: tuple[TokenProbability, ...]


class Usage(msgspec.Struct, frozen=True):
    """Counts in tokens, times in seconds. `cached_tokens` of the prompt needed no computing.

    `drafted_tokens` were guessed, and `accepted_tokens` of them right.
    """

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    prompt_seconds: float
    generation_seconds: float
    drafted_tokens: int = 0
    accepted_tokens: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How far a generation has come: `processed` tokens of its prompt are computed, those that were cached included."""

    processed: int
    usage: Usage


class TokenEvent(msgspec.Struct, frozen=True):
    """Text that is safe to show: whole characters, and no part of a stop string.

    `tokens` are those sampled since the last event; text may lag behind them. `probabilities` of each, and `progress`
    up to here, if asked for. While the prompt is computed there are events of `progress` only.
    """

    text: str
    tokens: tuple[int, ...]
    probabilities: tuple[Probabilities, ...] = ()
    progress: Progress | None = None


class FinishedEvent(msgspec.Struct, frozen=True):
    """The last event of a generation. `text` is what was still held back.

    `shifted` when the context was too small, and the oldest tokens were forgotten on the way. `slot` is the KV sequence
    that it ran in, None where it never ran.
    """

    reason: FinishReason
    usage: Usage
    text: str = ""
    stop_string: str = ""
    shifted: bool = False
    slot: int | None = None


Event = TokenEvent | FinishedEvent
