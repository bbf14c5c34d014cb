"""One sequence's sampler: llama.cpp's own chain, in llama-server's order.

The order is that of `common_sampler_init` in llama.cpp's common/sampling.cpp, so that a seed gives the same text
there and here. Under a grammar a token is sampled first and checked then, as `common_sampler_sample` does it: the
grammar looks at the whole vocabulary only when the token is not allowed. Uses the binding it is handed; imports
nothing of it.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from runtime.engine.candidates import Candidates
from runtime.engine.errors import GrammarInvalid, GrammarStuck
from runtime.engine.types import Sampling

_DRY_BREAKERS = (b"\n", b":", b'"', b"*")
"""What ends a repetition for DRY: llama.cpp's default."""

_MIROSTAT_M = 100
"""Tokens considered for the estimate of s in mirostat 1: llama.cpp's and the paper's own value."""


class Vocabulary(NamedTuple):
    """llama.cpp's handle of a vocabulary, its size, and the tokens that end a generation."""

    handle: Any
    size: int
    ends: tuple[int, ...]


class Sampler:
    """Samples for one sequence and remembers what it sampled. Raises `GrammarInvalid` when made."""

    def __init__(self, lib: Any, vocabulary: Vocabulary, n_ctx: int, sampling: Sampling, prompt: Sequence[int]) -> None:
        self._lib = lib
        self._n_vocab = vocabulary.size
        vocab = vocabulary.handle
        self._grammar = self._new_grammar(vocab, sampling.grammar) if sampling.grammar else None
        self.seed = secrets.randbits(32) if sampling.seed is None else sampling.seed & 0xFFFFFFFF
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for link in self._links(vocabulary, n_ctx, sampling):
            lib.llama_sampler_chain_add(self._chain, link)
        for token in _penalized(prompt, sampling):
            lib.llama_sampler_accept(self._chain, token)

    def sample(self, context: Any, output: int) -> int:
        """The next token, by the logits of `context`'s output number `output`. Raises `GrammarStuck`."""
        if self._grammar is None:
            return int(self._lib.llama_sampler_sample(self._chain, context, output))
        token = self._sample_under_grammar(self._grammar, Candidates(self._lib, context, output, self._n_vocab))
        self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        self._lib.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._lib.llama_sampler_free(self._grammar)

    def _new_grammar(self, vocab: Any, text: str) -> Any:
        grammar = self._lib.llama_sampler_init_grammar(vocab, text.encode("utf-8", "replace"), b"root")
        if not grammar:
            raise GrammarInvalid
        return grammar

    def _sample_under_grammar(self, grammar: Any, candidates: Candidates) -> int:
        candidates.apply(self._chain)
        token = candidates.selected()
        if Candidates.allows(self._lib, grammar, token):
            return token
        candidates.reset()
        candidates.apply(grammar)
        if not candidates.any_left():
            raise GrammarStuck
        candidates.apply(self._chain)
        return candidates.selected()

    def _links(self, vocabulary: Vocabulary, n_ctx: int, s: Sampling) -> list[Any]:
        lib, seed, n_vocab = self._lib, self.seed, vocabulary.size
        bias = self._bias_against(vocabulary.ends, n_vocab) if s.ignore_eos else []
        if s.mirostat == 1:
            return [
                *bias,
                lib.llama_sampler_init_temp(s.temperature),
                lib.llama_sampler_init_mirostat(n_vocab, seed, s.mirostat_tau, s.mirostat_eta, _MIROSTAT_M),
            ]
        if s.mirostat == 2:
            return [
                *bias,
                lib.llama_sampler_init_temp(s.temperature),
                lib.llama_sampler_init_mirostat_v2(seed, s.mirostat_tau, s.mirostat_eta),
            ]
        return [
            *bias,
            lib.llama_sampler_init_penalties(
                n_vocab,
                _window(s.repeat_last_n, n_ctx),
                s.repeat_penalty,
                s.frequency_penalty,
                s.presence_penalty,
            ),
            self._dry(vocabulary.handle, n_ctx, s),
            lib.llama_sampler_init_top_n_sigma(s.top_n_sigma),
            lib.llama_sampler_init_top_k(s.top_k),
            lib.llama_sampler_init_typical(s.typical_p, s.min_keep),
            lib.llama_sampler_init_top_p(s.top_p, s.min_keep),
            lib.llama_sampler_init_min_p(s.min_p, s.min_keep),
            lib.llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, s.min_keep, seed),
            lib.llama_sampler_init_temp_ext(s.temperature, s.dynatemp_range, s.dynatemp_exponent),
            lib.llama_sampler_init_dist(seed),
        ]

    def _bias_against(self, tokens: Sequence[int], n_vocab: int) -> list[Any]:
        array = (self._lib.llama_logit_bias * len(tokens))(*((token, float("-inf")) for token in tokens))
        return [self._lib.llama_sampler_init_logit_bias(n_vocab, len(tokens), array)]

    def _dry(self, vocab: Any, n_ctx: int, s: Sampling) -> Any:
        array = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
        window = _window(s.dry_penalty_last_n, n_ctx)
        return self._lib.llama_sampler_init_dry(
            vocab, s.dry_multiplier, s.dry_base, s.dry_allowed_length, window, array, len(_DRY_BREAKERS)
        )


def _window(last_n: int, n_ctx: int) -> int:
    """How far a penalty looks back: -1 is the whole context, and so is more, for memory is taken for each token."""
    return n_ctx if last_n < 0 else min(last_n, n_ctx)


def _penalized(prompt: Sequence[int], s: Sampling) -> Sequence[int]:
    """The end of the prompt, as far as the penalties in force look back."""
    repeats = (s.repeat_penalty, s.presence_penalty, s.frequency_penalty) != (1.0, 0.0, 0.0)
    windows = [s.repeat_last_n] * repeats + [s.dry_penalty_last_n] * (s.dry_multiplier != 0.0)
    if any(window < 0 for window in windows):
        return prompt
    window = max(windows, default=0)
    return prompt[-window:] if window else ()
