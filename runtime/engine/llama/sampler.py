"""One sequence's sampler: llama.cpp's own chain, and a grammar beside it.

Under a grammar a token is sampled first and checked then, as `common_sampler_sample` in llama.cpp's
common/sampling.cpp does it: the grammar looks at the whole vocabulary only when the token is not allowed. Uses the
binding it is handed; imports nothing of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from runtime.engine.backend import Sampled
from runtime.engine.errors import GrammarStuck
from runtime.engine.llama.candidates import Candidates
from runtime.engine.llama.chain import chain_links, penalized
from runtime.engine.llama.grammar import Grammar, LazyGrammar, Restriction
from runtime.engine.llama.vocabulary import Vocabulary
from runtime.engine.thoughts import Thoughts
from runtime.engine.types import Probabilities, Sampling, TokenProbability

_TRIES = 16
"""How often a token may be refused before the grammar counts as stuck. One that holds refuses once at most."""


class ChainSampler:
    """Samples for one sequence of `context`, and remembers what it sampled. Raises `GrammarInvalid` when made."""

    def __init__(
        self,
        lib: Any,
        context: Any,
        vocabulary: Vocabulary,
        n_ctx: int,
        sampling: Sampling,
        prompt: Sequence[int],
    ) -> None:
        self._lib = lib
        self._sample = lib.llama_sampler_sample
        self._context = context
        self._n_vocab = vocabulary.size
        self._n_probs = min(sampling.n_probs, vocabulary.size)
        self._post_sampling = sampling.post_sampling_probs
        self._grammar = _new_grammar(lib, vocabulary, sampling)
        self._thoughts = None
        if sampling.thoughts is not None:
            self._thoughts = Thoughts(sampling.thoughts, partial(vocabulary.piece, special=True))
        self.seed = random.getrandbits(32) if sampling.seed is None else sampling.seed & 0xFFFFFFFF
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for link in chain_links(lib, vocabulary, n_ctx, sampling, self.seed):
            lib.llama_sampler_chain_add(self._chain, link)
        for token in penalized(prompt, sampling):
            lib.llama_sampler_accept(self._chain, token)

    def sample(self, output: int) -> Sampled:
        """The next token, after token number `output` of the last batch. Raises `GrammarStuck`."""
        if self._thoughts is None:
            return self._sampled(output)
        due = self._thoughts.due()
        if due is not None and (self._grammar is None or self._grammar.allows(due)):
            sampled = self._taken(output, due)
        else:
            if due is not None:
                self._thoughts.give_up()
            sampled = self._sampled(output)
        self._thoughts.note(sampled.token)
        return sampled

    def _taken(self, output: int, token: int) -> Sampled:
        """`token`, whatever is likely."""
        probabilities = None
        if self._n_probs:
            probabilities = self._probabilities(Candidates(self._lib, self._context, output, self._n_vocab), token)
        if self._grammar is not None:
            self._grammar.accept(token)
        self._lib.llama_sampler_accept(self._chain, token)
        return Sampled(token, probabilities)

    def _sampled(self, output: int) -> Sampled:
        if self._grammar is None and not self._n_probs:
            return Sampled(self._sample(self._chain, self._context, output))
        candidates = Candidates(self._lib, self._context, output, self._n_vocab)
        token = self._choose(candidates)
        probabilities = self._probabilities(candidates, token) if self._n_probs else None
        if self._grammar is not None:
            self._grammar.accept(token)
        self._lib.llama_sampler_accept(self._chain, token)
        return Sampled(token, probabilities)

    def close(self) -> None:
        self._lib.llama_sampler_free(self._chain)
        if self._grammar is not None:
            self._grammar.close()

    def _choose(self, candidates: Candidates) -> int:
        refused: list[int] = []
        while len(refused) < _TRIES:
            candidates.apply(self._chain)
            token = candidates.selected()
            if self._grammar is None or self._grammar.allows(token):
                return token
            refused.append(token)
            candidates.reset()
            self._grammar.restrict(candidates, refused)
            if not candidates.any_left():
                break
        raise GrammarStuck

    def _probabilities(self, candidates: Candidates, token: int) -> Probabilities:
        """Of what the chain left, or of the whole vocabulary as the model sees it."""
        if self._post_sampling and candidates.has_selected():
            probability = candidates.selected_probability()
        else:
            candidates.reset()
            softmax = self._lib.llama_sampler_init_dist(0)  # its draw is not used, its probabilities are
            candidates.apply(softmax)
            self._lib.llama_sampler_free(softmax)
            probability = candidates.probability(token)
        return Probabilities(TokenProbability(token, probability), candidates.top(self._n_probs))


def _new_grammar(lib: Any, vocabulary: Vocabulary, sampling: Sampling) -> Restriction | None:
    if not sampling.grammar:
        return None
    if sampling.triggers is None:
        return Grammar(lib, vocabulary, sampling.grammar)
    return LazyGrammar(lib, vocabulary, sampling.grammar, sampling.triggers)
