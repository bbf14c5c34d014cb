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
from typing import Any

from runtime.engine.candidates import Candidates
from runtime.engine.errors import GrammarInvalid, GrammarStuck
from runtime.engine.types import Sampling

_MIROSTAT_M = 100
"""Tokens considered for the estimate of s in mirostat 1: llama.cpp's and the paper's own value."""


class Sampler:
    """Samples for one sequence and remembers what it sampled. Raises `GrammarInvalid` when made."""

    def __init__(
        self, lib: Any, vocab: Any, n_vocab: int, n_ctx_train: int, sampling: Sampling, prompt: Sequence[int]
    ) -> None:
        self._lib = lib
        self._n_vocab = n_vocab
        self._grammar = self._new_grammar(vocab, sampling.grammar) if sampling.grammar else None
        self.seed = secrets.randbits(32) if sampling.seed is None else sampling.seed & 0xFFFFFFFF
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for link in self._links(vocab, n_vocab, n_ctx_train, sampling):
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

    def _links(self, vocab: Any, n_vocab: int, n_ctx_train: int, s: Sampling) -> list[Any]:
        lib, seed = self._lib, self.seed
        bias = self._logit_bias(vocab, n_vocab, s)
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
        last_n = n_ctx_train if s.repeat_last_n < 0 else s.repeat_last_n
        return [
            *bias,
            lib.llama_sampler_init_penalties(
                n_vocab, last_n, s.repeat_penalty, s.frequency_penalty, s.presence_penalty
            ),
            self._dry(vocab, n_ctx_train, s),
            lib.llama_sampler_init_top_n_sigma(s.top_n_sigma),
            lib.llama_sampler_init_top_k(s.top_k),
            lib.llama_sampler_init_typical(s.typical_p, s.min_keep),
            lib.llama_sampler_init_top_p(s.top_p, s.min_keep),
            lib.llama_sampler_init_min_p(s.min_p, s.min_keep),
            lib.llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, s.min_keep, seed),
            lib.llama_sampler_init_temp_ext(s.temperature, s.dynatemp_range, s.dynatemp_exponent),
            lib.llama_sampler_init_dist(seed),
        ]

    def _logit_bias(self, vocab: Any, n_vocab: int, s: Sampling) -> list[Any]:
        lib = self._lib
        biases = [(token, bias) for token, bias in s.logit_bias if 0 <= token < n_vocab]
        if s.ignore_eos:
            ends = (token for token in range(n_vocab) if lib.llama_vocab_is_eog(vocab, token))
            biases += [(token, float("-inf")) for token in ends]
        if not biases:
            return []
        array = (lib.llama_logit_bias * len(biases))(*biases)
        return [lib.llama_sampler_init_logit_bias(n_vocab, len(biases), array)]

    def _dry(self, vocab: Any, n_ctx_train: int, s: Sampling) -> Any:
        breakers = [word.encode() for word in s.dry_sequence_breakers]
        array = (ctypes.c_char_p * len(breakers))(*breakers)
        last_n = n_ctx_train if s.dry_penalty_last_n < 0 else s.dry_penalty_last_n
        return self._lib.llama_sampler_init_dry(
            vocab, s.dry_multiplier, s.dry_base, s.dry_allowed_length, last_n, array, len(breakers)
        )


def _penalized(prompt: Sequence[int], s: Sampling) -> Sequence[int]:
    """The end of the prompt, as far as the penalties in force look back."""
    repeats = (s.repeat_penalty, s.presence_penalty, s.frequency_penalty) != (1.0, 0.0, 0.0)
    windows = [s.repeat_last_n] * repeats + [s.dry_penalty_last_n] * (s.dry_multiplier != 0.0)
    if any(window < 0 for window in windows):
        return prompt
    window = max(windows, default=0)
    return prompt[-window:] if window else ()
