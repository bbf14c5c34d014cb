"""Prompt lookup: guesses what a sequence says next from what it, or its prompt, has said before.

Guesses are computed in one batch with the sequence's own token and checked against what is sampled there, so they
never change the text, only when it comes. Pure bookkeeping: how much guessing is worth it follows from how long
batches took.

After A. Saxena's prompt lookup decoding (2023), with a budget: a sequence whose guesses fail pays for them out of
what it earns, and earns `ALLOWANCE` of a token with each token, so guessing never costs much more than that.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens

_NGRAM = 3
"""Tokens that must have been seen before, in this order, for what followed them to be a guess."""

ALLOWANCE = 0.01
"""Of the time of a token, what a sequence may lose to wrong guesses with each token."""

_FIRST_BALANCE = 1.0
_SAVED_AT_MOST = 4.0
_WON_AT_MOST = 32.0
"""In times of a token: what a sequence begins with, and how much of its allowance and of its luck it can put by."""


class Lookup:
    """The guesses of one sequence, over its `tokens` (shared with it, and growing)."""

    def __init__(self, tokens: Tokens[int]) -> None:
        self._tokens = tokens
        self._next_of: dict[tuple[int, ...], int] = {}
        self._indexed = 0
        self._balance = _FIRST_BALANCE

    def propose(self, at_most: int, cost: float) -> tuple[int, ...]:
        """Up to `at_most` tokens that may come next, each costing `cost` (`StepCost.of_guess`); none if unsure."""
        count = min(at_most, int(self._balance / cost))
        if count < 1:
            self._earn()
            return ()
        self._index()
        start = self._next_of.get(tuple(self._tokens[-_NGRAM:]))
        if start is None:
            self._earn()
            return ()
        guess = list(self._tokens[start : start + count])
        if min(guess) < 0:  # a picture is not said
            self._earn()
            return ()
        period = len(self._tokens) - start
        while len(guess) < count:  # what followed has come round to here: it goes on as it began
            guess.append(guess[-period])
        return tuple(guess)

    def settle(self, drafted: int, accepted: int, cost: float) -> None:
        """Of `drafted` guesses `accepted` were right."""
        self._balance = min(self._balance + accepted - drafted * cost, _WON_AT_MOST)
        self._earn()

    def _earn(self) -> None:
        if self._balance < _SAVED_AT_MOST:
            self._balance += ALLOWANCE

    def _index(self) -> None:
        """Note what followed each n-gram, last; not yet for the one at the very end, which nothing has followed."""
        tokens = self._tokens
        for end in range(max(self._indexed, _NGRAM), len(tokens)):
            self._next_of[tuple(tokens[end - _NGRAM : end])] = end
        self._indexed = max(self._indexed, len(tokens))
