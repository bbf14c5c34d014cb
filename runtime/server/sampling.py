"""The fields that llama-server's dialects share: sampling, stop strings, limits, laid over the server's defaults."""

from __future__ import annotations

import math

import msgspec

from runtime.engine.types import Sampling
from runtime.server.errors import BadRequest


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
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    ignore_eos: bool | None = None
    grammar: str | None = None


_INT32 = 2**31 - 1
_MAX_STOP_STRINGS = 256
_MAX_STOP_CHARACTERS = 16 * 1024
"""All stop strings are looked for after every token, in the thread that computes for everybody."""


def resolve_sampling(fields: SamplingFields, defaults: Sampling) -> Sampling:
    """`defaults`, with every field that the request gives. Raises `BadRequest` for values without a meaning."""
    given = {
        field.name: value
        for field in msgspec.structs.fields(SamplingFields)
        if (value := getattr(fields, field.name)) is not None
    }
    if "seed" in given:
        given["seed"] = _seed(given["seed"])
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise BadRequest(f"{name}: must be a finite number", name)
        if name != "seed" and isinstance(value, int):
            given[name] = value if isinstance(value, bool) else max(-_INT32, min(value, _INT32))
    if given.get("repeat_penalty", 1.0) <= 0:
        raise BadRequest("repeat_penalty: must be greater than 0", "repeat_penalty")
    if given.get("mirostat", 0) not in (0, 1, 2):
        raise BadRequest("mirostat: must be 0, 1 or 2", "mirostat")
    for name in ("repeat_last_n", "dry_penalty_last_n"):
        if given.get(name, 0) < -1:
            raise BadRequest(f"{name}: must be -1 (the whole context) or more", name)
    given["min_keep"] = max(given.get("min_keep", defaults.min_keep), 0)
    return msgspec.structs.replace(defaults, **given)


def stop_strings(value: str | list[str] | None) -> tuple[str, ...]:
    """What `stop` says, as a tuple. Raises `BadRequest` when it is too much."""
    words = (value,) if isinstance(value, str) else tuple(value or ())
    if len(words) > _MAX_STOP_STRINGS or sum(map(len, words)) > _MAX_STOP_CHARACTERS:
        limit = f"{_MAX_STOP_STRINGS} strings of {_MAX_STOP_CHARACTERS:,} characters in all"
        raise BadRequest(f"stop: at most {limit}", "stop")
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
