"""What llama-server calls `generation_settings` in an answer, and `params` in `/props` and `/slots`.

Its `task_params::to_json` (server-task.cpp) names the fields. Those of parts that we do not have say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.engine.types import GenerationRequest, Sampling, Triggers

_RANDOM_SEED = 0xFFFFFFFF
"""llama.cpp's LLAMA_DEFAULT_SEED: one is drawn for each request."""

_LONG = ("dry_sequence_breakers", "grammar", "logit_bias", "thoughts", "triggers")
"""Parts of `Sampling` that only an answer of its own repeats; `/slots` and `/props` leave them out."""


def generation_settings(
    wanted: GenerationRequest, ends: Sequence[int], *, streams: bool, timings_per_token: bool
) -> dict[str, Any]:
    """Everything that the answer was generated with. `ends` are the tokens with which the model ends an answer."""
    sampling = wanted.sampling
    triggers = sampling.triggers
    return {
        **_brief(sampling, wanted.max_tokens, wanted.n_keep, wanted.scales),
        "dry_sequence_breakers": sampling.dry_sequence_breakers,
        "stop": wanted.stop,
        "stream": streams,
        "logit_bias": [{"token": token, "bias": bias} for token, bias in _biases(sampling, ends)],
        "grammar": sampling.grammar,
        "grammar_lazy": triggers is not None,
        "grammar_triggers": [] if triggers is None else _triggers(triggers),
        "preserved_tokens": sorted(wanted.shown),
        "timings_per_token": timings_per_token,
        "n_indent": wanted.n_indent,
    }


def running_settings(wanted: GenerationRequest) -> dict[str, Any]:
    """The same in brief, of a request that runs."""
    return _brief(wanted.sampling, wanted.max_tokens, wanted.n_keep, wanted.scales)


def default_settings(sampling: Sampling, max_tokens: int | None) -> dict[str, Any]:
    """The same in brief, where a request says nothing."""
    return _brief(sampling, max_tokens, 0, None)


def _brief(sampling: Sampling, max_tokens: int | None, n_keep: int, scales: tuple[float, ...] | None) -> dict[str, Any]:
    fields = {name: value for name, value in msgspec.structs.asdict(sampling).items() if name not in _LONG}
    limit = -1 if max_tokens is None else max_tokens
    return {
        **fields,
        "seed": _RANDOM_SEED if sampling.seed is None else sampling.seed,
        "max_tokens": limit,
        "n_predict": limit,
        "n_keep": n_keep,
        "n_discard": 0,
        "stream": True,
        "chat_format": "Content-only",
        "reasoning_format": "none",
        "reasoning_in_content": False,
        "generation_prompt": "",
        "speculative.types": "none",
        "timings_per_token": False,
        "backend_sampling": False,
        "lora": [{"id": i, "scale": scale} for i, scale in enumerate(scales or ())],
    }


def _biases(sampling: Sampling, ends: Sequence[int]) -> list[tuple[int, float]]:
    """Ignoring the end is a bias against it in llama-server."""
    return [*sampling.logit_bias, *((token, -math.inf) for token in ends if sampling.ignore_eos)]


def _triggers(triggers: Triggers) -> list[dict[str, Any]]:
    """In the form that requests bring them in."""
    words = [{"type": 1, "value": word} for word in triggers.words]
    return words + [{"type": 0, "value": "", "token": token} for token in triggers.tokens]
