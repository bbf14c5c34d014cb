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


class StepCost:
    """How long a step takes, by the tokens in its batch: a line through those measured, older ones fading.

    seconds = fixed + per_token * tokens. Until steps of different sizes have been seen, `per_token` is assumed.
    """

    _FADE = 0.97
    _ASSUMED = 0.25
    """Of a step with one token: what one more is assumed to cost."""

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0
        self._plain: dict[int, float] = {}
        """Seconds of steps without guesses, by how many streams they had."""

    def observe(self, streams: int, guesses: int, seconds: float) -> float:
        """A step over `streams` and their `guesses`, and nothing else, took so long.

        Returns what each guess of it has cost, in the measure of `of_guess`: the line tells what to expect, but the
        second token of a batch may cost more than the third.
        """
        self._fit(streams + guesses, seconds)
        plain = self._plain.get(streams)
        if not guesses:
            self._plain[streams] = seconds if plain is None else self._FADE * plain + (1 - self._FADE) * seconds
            return 0.0
        if not plain:
            return self.of_guess(streams)
        return min(max((seconds / plain - 1) * streams / guesses, 0.0), 1.0)

    def _fit(self, tokens: int, seconds: float) -> None:
        fade = self._FADE
        self._weight = fade * self._weight + 1
        self._x = fade * self._x + tokens
        self._y = fade * self._y + seconds
        self._xx = fade * self._xx + tokens * tokens
        self._xy = fade * self._xy + tokens * seconds

    def of_guess(self, streams: int) -> float:
        """What a guessed token costs, beside `streams` sequences: as a share of the time of one token of one of them.

        That is also the share of guesses that must be right for guessing to be worth it.
        """
        if not self._weight:
            return self._ASSUMED
        mean = self._x / self._weight
        variance = self._xx / self._weight - mean * mean
        time = self._y / self._weight
        if variance < 0.25:
            per_token = self._ASSUMED * time / (1 + self._ASSUMED * (mean - 1))
        else:
            per_token = (self._xy / self._weight - mean * time) / variance
        step = time + per_token * (streams - mean)
        if step <= 0:
            return 1.0
        return min(max(per_token * streams / step, 0.02), 1.0)


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
