"""The samplers of a chain, in llama-server's order, so that a seed gives the same text there and here.

The order is that of `common_sampler_init` in llama.cpp's common/sampling.cpp. Uses the binding it is handed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from runtime.engine.llama.vocabulary import Vocabulary
from runtime.engine.types import Sampling

_MIROSTAT_M = 100
"""Tokens considered for the estimate of s in mirostat 1: llama.cpp's and the paper's own value."""

_ADAPTIVE = "adaptive_p"


def chain_links(lib: Any, vocabulary: Vocabulary, n_ctx: int, s: Sampling, seed: int) -> list[Any]:
    """New samplers for one chain, which owns them; the last one selects."""
    bias = _biases(lib, vocabulary, s)
    if s.mirostat == 1:
        mirostat = lib.llama_sampler_init_mirostat(vocabulary.size, seed, s.mirostat_tau, s.mirostat_eta, _MIROSTAT_M)
        return [*bias, lib.llama_sampler_init_temp(s.temperature), mirostat]
    if s.mirostat == 2:
        mirostat = lib.llama_sampler_init_mirostat_v2(seed, s.mirostat_tau, s.mirostat_eta)
        return [*bias, lib.llama_sampler_init_temp(s.temperature), mirostat]
    makers = _makers(lib, vocabulary, n_ctx, s, seed)
    named = [makers[name] for name in s.samplers if name != _ADAPTIVE]
    links = [make() for changes_something, make in named if changes_something]
    if _ADAPTIVE in s.samplers:
        last = lib.llama_sampler_init_adaptive_p(s.adaptive_target, s.adaptive_decay, seed)
    else:
        last = lib.llama_sampler_init_dist(seed)
    return [*bias, *links, last]


def penalized(prompt: Sequence[int], s: Sampling) -> Sequence[int]:
    """The end of the prompt, as far as the penalties in force look back."""
    windows = [s.repeat_last_n] * _penalizes(s) + [s.dry_penalty_last_n] * _is_dry(s)
    if any(window < 0 for window in windows):
        return prompt
    window = max(windows, default=0)
    return prompt[-window:] if window else ()


def _penalizes(s: Sampling) -> bool:
    return (s.repeat_penalty, s.presence_penalty, s.frequency_penalty) != (1.0, 0.0, 0.0)


def _is_dry(s: Sampling) -> bool:
    return s.dry_multiplier != 0.0


def _makers(
    lib: Any, vocabulary: Vocabulary, n_ctx: int, s: Sampling, seed: int
) -> dict[str, tuple[bool, Callable[[], Any]]]:
    """Of each sampler that may be named (`types.SAMPLERS`) whether it changes anything, and how it is made.

    Where it does not, llama.cpp makes an empty one (`llama_sampler_init_empty`, src/llama-sampler.cpp), which costs a
    request several calls: a default one has five of them.
    """
    window = _window(s.repeat_last_n, n_ctx)
    return {
        "penalties": (
            _penalizes(s),
            lambda: lib.llama_sampler_init_penalties(
                vocabulary.size, window, s.repeat_penalty, s.frequency_penalty, s.presence_penalty
            ),
        ),
        "dry": (_is_dry(s), lambda: _dry(lib, vocabulary.handle, n_ctx, s)),
        "top_n_sigma": (s.top_n_sigma > 0.0, lambda: lib.llama_sampler_init_top_n_sigma(s.top_n_sigma)),
        "top_k": (s.top_k > 0, lambda: lib.llama_sampler_init_top_k(s.top_k)),
        "typ_p": (s.typical_p < 1.0, lambda: lib.llama_sampler_init_typical(s.typical_p, s.min_keep)),
        "top_p": (s.top_p < 1.0, lambda: lib.llama_sampler_init_top_p(s.top_p, s.min_keep)),
        "min_p": (s.min_p > 0.0, lambda: lib.llama_sampler_init_min_p(s.min_p, s.min_keep)),
        "xtc": (
            s.xtc_probability > 0.0,
            lambda: lib.llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, s.min_keep, seed),
        ),
        "temperature": (
            True,
            lambda: lib.llama_sampler_init_temp_ext(s.temperature, s.dynatemp_range, s.dynatemp_exponent),
        ),
    }


def _biases(lib: Any, vocabulary: Vocabulary, s: Sampling) -> list[Any]:
    """One sampler for all that is added to logits, none where nothing is."""
    never = (*vocabulary.suppressed, *(sorted(vocabulary.ends) if s.ignore_eos else ()))
    entries = [*s.logit_bias, *((token, float("-inf")) for token in never)]
    if not entries:
        return []
    array = (lib.llama_logit_bias * len(entries))(*entries)
    return [lib.llama_sampler_init_logit_bias(vocabulary.size, len(entries), array)]


def _dry(lib: Any, vocab: Any, n_ctx: int, s: Sampling) -> Any:
    breakers = [breaker.encode("utf-8", "replace") for breaker in s.dry_sequence_breakers]
    array = (ctypes.c_char_p * len(breakers))(*breakers)
    window = _window(s.dry_penalty_last_n, n_ctx)
    return lib.llama_sampler_init_dry(
        vocab, s.dry_multiplier, s.dry_base, s.dry_allowed_length, window, array, len(breakers)
    )


def _window(last_n: int, n_ctx: int) -> int:
    """How far a penalty looks back: -1 is the whole context, and so is more, for memory is taken for each token."""
    return n_ctx if last_n < 0 else min(last_n, n_ctx)
