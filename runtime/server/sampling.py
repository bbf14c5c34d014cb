"""The fields of a request that say how to sample, in all of llama-server's dialects, laid over the server's defaults.

Knows what a value may be. Refuses to know what a dialect calls the rest of a request.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from runtime.engine.backend import Model
from runtime.engine.types import SAMPLERS, Sampling, Triggers
from runtime.server.refusals import BadRequest

_INT32 = 2**31 - 1
_MAX_STOP_STRINGS = 256
_MAX_STOP_CHARACTERS = 16 * 1024
"""All stop strings are looked for after every token, in the thread that computes for everybody."""

_MAX_PROBABILITIES = 1000
_MAX_BREAKERS = 64
_MAX_SAMPLERS = 32
_MAX_TRIGGERS = 64

_SAMPLER_LETTERS = {
    "e": "penalties",
    "d": "dry",
    "s": "top_n_sigma",
    "k": "top_k",
    "y": "typ_p",
    "p": "top_p",
    "m": "min_p",
    "x": "xtc",
    "t": "temperature",
    "a": "adaptive_p",
}
"""llama.cpp's `common_sampler_type_to_chr`."""


class GrammarTrigger(msgspec.Struct):
    """llama-server's `common_grammar_trigger`: type 0 is a token, 1 a word. Its patterns (2 and 3) are not taken."""

    type: int
    value: str = ""
    token: int = -1


class SamplingFields(msgspec.Struct):
    """Field names as in llama-server's `/completion`. Null counts as absent."""

    seed: int | None = None
    temperature: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    min_keep: int | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: list[str] | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    adaptive_target: float | None = None
    adaptive_decay: float | None = None
    samplers: list[str] | str | None = None
    ignore_eos: bool | None = None
    logit_bias: list[tuple[int | str, float | bool]] | dict[str, float | bool] | None = None
    grammar: str | None = None
    grammar_lazy: bool | None = None
    grammar_triggers: list[GrammarTrigger] | None = None
    json_schema: Any = None
    n_probs: int | None = None
    post_sampling_probs: bool | None = None


_CLAMPED: dict[str, tuple[float, float]] = {
    "temperature": (0, _INT32),
    "top_k": (0, _INT32),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
    "min_keep": (0, _INT32),
    "mirostat": (0, 2),
}
"""Values beyond these mean the nearest one, as in llama-server (server-schema.cpp: `set_limits`)."""

_TRANSLATED = {"logit_bias", "samplers", "dry_sequence_breakers", "grammar_lazy", "grammar_triggers", "json_schema"}
"""Fields that do not become one of `Sampling` as they are."""

_TAKEN = tuple(name for name in SamplingFields.__struct_fields__ if name not in _TRANSLATED)
"""Those that do."""


def resolve_sampling(fields: SamplingFields, defaults: Sampling, model: Model) -> Sampling:
    """`defaults`, with every field that the request gives. Raises `BadRequest` for values without a meaning."""
    given = {name: value for name in _TAKEN if (value := getattr(fields, name)) is not None}
    if "seed" in given:
        given["seed"] = _seed(given["seed"])
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise BadRequest(f"{name}: must be a finite number", name)
        if name != "seed" and isinstance(value, (int, float)) and not isinstance(value, bool):
            least, most = _CLAMPED.get(name, (-_INT32, _INT32))
            given[name] = max(least, min(value, most))
    if given.get("repeat_penalty", 1.0) <= 0:
        raise BadRequest("repeat_penalty: must be greater than 0", "repeat_penalty")
    for name in ("repeat_last_n", "dry_penalty_last_n"):
        if given.get(name, 0) < -1:
            raise BadRequest(f"{name}: must be -1 (the whole context) or more", name)
    if not 0 <= given.get("n_probs", 0) <= _MAX_PROBABILITIES:
        raise BadRequest(f"n_probs: must be from 0 to {_MAX_PROBABILITIES}", "n_probs")
    if fields.samplers is not None:
        given["samplers"] = _samplers(fields.samplers)
    if fields.dry_sequence_breakers is not None:
        given["dry_sequence_breakers"] = _breakers(fields.dry_sequence_breakers)
    if fields.logit_bias is not None:
        given["logit_bias"] = _logit_bias(fields.logit_bias, model)
    if fields.json_schema is not None:
        given["grammar"] = schema_grammar(fields.json_schema, "json_schema", bool(fields.grammar))
    if fields.grammar_lazy:
        given["triggers"] = _triggers(fields.grammar_triggers or [], model)
    return msgspec.structs.replace(defaults, **given)


def schema_grammar(schema: Any, field: str, has_grammar: bool) -> str:
    """The GBNF of a JSON schema. Raises `BadRequest` where there is a grammar too, `SchemaUnsupported`."""
    if has_grammar:
        raise BadRequest(f"{field}: either a schema or a grammar, not both", field)
    from runtime.grammar.json_schema import grammar_of

    return grammar_of(schema)


def stop_strings(value: str | list[str] | None, field: str = "stop") -> tuple[str, ...]:
    """What `field` says, as a tuple. Raises `BadRequest` when it is too much."""
    words = (value,) if isinstance(value, str) else tuple(value or ())
    if len(words) > _MAX_STOP_STRINGS or sum(map(len, words)) > _MAX_STOP_CHARACTERS:
        limit = f"{_MAX_STOP_STRINGS} strings of {_MAX_STOP_CHARACTERS:,} characters in all"
        raise BadRequest(f"{field}: at most {limit}", field)
    return words


def token_limit(value: int | None, default: int | None, field: str) -> int | None:
    """How many tokens to generate at most: -1 and nothing mean the server's default. Raises `BadRequest`."""
    if value is not None and value < -1:
        raise BadRequest(f"{field}: must be -1 (no limit) or more", field)
    return default if value in (None, -1) else value


def _seed(seed: int) -> int | None:
    """llama.cpp seeds with 32 bits, and takes all ones (-1) for 'draw one'."""
    masked = seed & 0xFFFFFFFF
    return None if masked == 0xFFFFFFFF else masked


def _samplers(given: list[str] | str) -> tuple[str, ...]:
    """By name or by letter. Unknown ones are left out, as llama-server does it; each may come more than once."""
    if len(given) > _MAX_SAMPLERS:
        raise BadRequest(f"samplers: at most {_MAX_SAMPLERS}", "samplers")
    names = [_SAMPLER_LETTERS.get(letter, "") for letter in given] if isinstance(given, str) else given
    return tuple(name for name in names if name in SAMPLERS)


def _breakers(words: list[str]) -> tuple[str, ...]:
    if not words or len(words) > _MAX_BREAKERS or max(map(len, words)) > _MAX_BREAKERS:
        raise BadRequest(
            f"dry_sequence_breakers: must be 1 to {_MAX_BREAKERS} strings of at most {_MAX_BREAKERS} characters",
            "dry_sequence_breakers",
        )
    return tuple(words)


def _logit_bias(
    given: list[tuple[int | str, float | bool]] | dict[str, float | bool], model: Model
) -> tuple[tuple[int, float], ...]:
    """Token ids, or text for all of its tokens, with what is added to their logits; `false` bans them."""
    pairs = given.items() if isinstance(given, dict) else given
    biases: dict[int, float] = {}
    for key, value in pairs:
        if value is True or (not isinstance(value, bool) and not math.isfinite(value)):
            raise BadRequest("logit_bias: must be a finite number, or false", "logit_bias")
        bias = float("-inf") if value is False else float(value)
        for token in _tokens_of(key, model):
            biases[token] = bias
    return tuple(biases.items())


def _tokens_of(key: int | str, model: Model) -> tuple[int, ...]:
    """A number, also one in a string, is a token id; one that does not exist says nothing, as in llama-server."""
    if isinstance(key, str) and not key.isdecimal():
        return model.tokenize(key, add_special=False, parse_special=False)
    token = int(key)
    return (token,) if 0 <= token < model.facts.vocabulary_size else ()


def _triggers(given: list[GrammarTrigger], model: Model) -> Triggers:
    """Raises `BadRequest` when nothing would ever begin the grammar, or a trigger makes no sense."""
    field = "grammar_triggers"
    if not given or len(given) > _MAX_TRIGGERS or sum(len(trigger.value) for trigger in given) > _MAX_STOP_CHARACTERS:
        raise BadRequest(f"{field}: a lazy grammar needs 1 to {_MAX_TRIGGERS} of them", field)
    for trigger in given:
        is_token = trigger.type == 0 and 0 <= trigger.token < model.facts.vocabulary_size
        if not is_token and not (trigger.type == 1 and trigger.value):
            raise BadRequest(f"{field}: must be a token of the vocabulary (type 0) or a word (type 1)", field)
    return Triggers(
        words=tuple(trigger.value for trigger in given if trigger.type == 1),
        tokens=tuple(trigger.token for trigger in given if trigger.type == 0),
    )
