"""Whether a draft model's guesses are worth what they cost, and how many at a time: pure policy.

A guess costs a step of the draft model and a token more in the batch; what it brings is the time of a token, as often
as it is right. Both are learnt, so the depth is chosen that gives most tokens in a time; none where the best of them
gives no more than going on without. Time is counted in times of a token: what one token of one stream takes, in a step
over all streams without guesses.

All streams pay out of one account, since one draft model guesses for all of them: it begins with the time of two
tokens, gets `ALLOWANCE` of a token with each token, what the draft took, and the tokens that it brought. So a model
that is never right costs 1 % at most, and once the time of two tokens and of reading a first prompt.

The choice of the depth is that of Y. Leviathan, M. Kalman, Y. Matias: Fast Inference from Transformers via Speculative
Decoding (2023), section 3.3: with a share of `rate` right, k guesses bring (1 - rate^(k+1)) / (1 - rate) tokens.
Refuses to know what is guessed, and the clock.
"""

from __future__ import annotations

from runtime.engine.lookup import ALLOWANCE
from runtime.engine.step_cost import Mean, StepCost

_FIRST_BALANCE = 2.0
_SAVED_AT_MOST = 4.0
_WON_AT_MOST = 256.0
"""In times of a token: what the account begins with, how much of the allowance and how much of luck is put by."""

_WORTHWHILE = 1.03
"""How much sooner the text must be expected for guesses to be made."""

_FIRST_RATE = 0.7
"""The share of guesses that is taken to be right while nothing is known, on which as much is given as on `_TRUST`
guesses."""

_TRUST = 4.0
_FADE = 0.97
_FADE_OF_ALL = 0.995
"""How long a stream's guesses are remembered, and those of all."""

_PAUSE, _LONGEST_PAUSE = 16, 1024
"""Tokens after which a stream tries again for which guesses are not worth it, doubled each time."""

_STEPS_PRICED = 16
"""Steps for which prices hold where nothing new is known: to work them out takes a tenth of a millisecond."""

_UNKNOWN_STEP = 0.25
_UNKNOWN_READING = 0.05
"""Of the time of a step: what one of the draft model, and a token that it reads, are taken to cost before any has."""


class Record:
    """What came of one stream's guesses."""

    def __init__(self) -> None:
        self.right = 0.0
        self.tried = 0.0
        self.waited = 0
        self.pause = _PAUSE
        self.is_reading = False

    def note(self, drafted: int, accepted: int) -> None:
        """Of `drafted` guesses the first `accepted` were right. Nobody knows of those after the first wrong one."""
        self.right = _FADE * self.right + accepted
        self.tried = _FADE * self.tried + accepted + (accepted < drafted)
        self.waited = 0
        self.pause = _PAUSE if accepted else min(2 * self.pause, _LONGEST_PAUSE)


class Worth:
    """The account, and what is known of the draft model. `cost` of the model's own steps is shared with others."""

    def __init__(self, cost: StepCost) -> None:
        self._cost = cost
        self._balance = _FIRST_BALANCE
        self._promised = 0.0
        """Of it, to streams whose guesses are still to be made."""
        self._step = self._token = 0.0
        """Seconds of the next step without guesses, and of one token of one stream in it; 0.0: not known."""
        self._prices: list[float] = []
        """What each guess costs where one, two, … are made at once by all who may, in times of a token."""
        self._priced = (0, 0, 0, 0)
        self._priced_steps = 0
        """For which streams that was, and how many steps ago."""
        self._right = self._tried = 0.0
        self._steps: dict[int, Mean] = {}
        """Seconds of the draft model's steps, by how many streams they had."""
        self._reading = Mean(_FADE)
        """Seconds of each token that it read."""
        self._has_read = False

    def begin(self, streams: int, drafting: int, at_most: int) -> None:
        """A new step, over so many `streams`, of which `drafting` may guess up to `at_most` tokens."""
        self._promised = 0.0
        known = (streams, drafting, at_most, self._cost.sizes)
        self._priced_steps += 1
        if known == self._priced and self._priced_steps < _STEPS_PRICED:
            return
        self._priced, self._priced_steps = known, 0
        self._step = step = self._cost.plain(streams)
        self._token = step / streams
        if step:
            own = self._own_step(drafting, step) / drafting
            of_steps = (self._cost.of_step(streams + drafting * depth) for depth in range(1, at_most + 1))
            self._prices = [
                (max(longer - step, 0.0) / (drafting * depth) + own) / self._token
                for depth, longer in enumerate(of_steps, start=1)
            ]

    def depth(self, record: Record, behind: int, generated: int, at_most: int) -> int:
        """How many tokens to guess, up to `at_most`, for a stream; the draft model must read `behind` before.

        The stream has said `generated` tokens. 0 where it is not worth it, or not known yet what a step takes.
        """
        if not self._step or at_most < 1:
            return 0
        best, speed = self._best_depth(self._rate(record), at_most)
        each = self._prices[best - 1]
        reading = behind * (self._reading.value or _UNKNOWN_READING * self._step) / self._token
        is_worth_it = speed > _WORTHWHILE
        if not is_worth_it and record.waited < record.pause:
            return 0
        depth = max(min(best, int((self._balance - self._promised) / each)), 0)
        if not depth or not behind:
            record.is_reading = False
        elif not record.is_reading:
            missed = generated * (1 - 1 / speed) if is_worth_it else 0.0
            if not self._buy_reading(record, reading, depth * each, missed):
                depth = 0
        self._promised += depth * each
        return depth

    def _buy_reading(self, record: Record, price: float, guesses: float, missed: float) -> bool:
        """Pay for what is to be read, if that is worth it: the first is free, since one must be to know.

        `missed` is what guesses would have brought the stream by now: to spend that is no worse than half of the best
        that could have been done, as with skis that are rented until they could have been bought.
        """
        left = max(self._balance - self._promised - guesses, 0.0)
        if self._has_read:
            if price > left + missed:
                return False
            self._balance -= min(price, left)
        record.is_reading = True
        return True

    def pass_over(self, record: Record) -> None:
        """The stream gets a token without guesses."""
        record.waited += 1
        self._earn()

    def note_reading(self, tokens: int, seconds: float) -> None:
        """The draft model read so many `tokens`."""
        self._has_read = True
        self._reading.add(seconds / tokens)

    def note_step(self, drafting: int, seconds: float) -> None:
        """It took a step for `drafting` streams: what steps mostly take is paid for, since one may have waited long."""
        steps = self._steps.setdefault(drafting, Mean(_FADE))
        steps.add(seconds)
        self._balance -= steps.value / self._token if self._token else 0.0

    def settle(self, record: Record, drafted: int, accepted: int, cost: float) -> None:
        """Of `drafted` guesses, each of which made the step longer by `cost`, `accepted` were right."""
        record.note(drafted, accepted)
        self._right = _FADE_OF_ALL * self._right + accepted
        self._tried = _FADE_OF_ALL * self._tried + accepted + (accepted < drafted)
        self._balance = min(self._balance + accepted - drafted * cost, _WON_AT_MOST)
        self._earn()

    def _earn(self) -> None:
        if self._balance < _SAVED_AT_MOST:
            self._balance += ALLOWANCE

    def _rate(self, record: Record) -> float:
        """The share of guesses that are expected to be right, each after right ones."""
        of_all = (self._right + _FIRST_RATE * _TRUST) / (self._tried + _TRUST)
        return (record.right + of_all * _TRUST) / (record.tried + _TRUST)

    def _best_depth(self, rate: float, at_most: int) -> tuple[int, float]:
        """How many guesses give most tokens in a time, and how many times as many as none do."""
        best, speed = 1, 0.0
        tokens = right = 1.0
        for depth in range(1, at_most + 1):
            right *= rate
            tokens += right
            faster = tokens / (1 + depth * self._prices[depth - 1])
            if faster > speed:
                best, speed = depth, faster
        return best, speed

    def _own_step(self, drafting: int, step: float) -> float:
        """Seconds of a step of the draft model: of one over as many streams, or nearly."""
        if not self._steps:
            return _UNKNOWN_STEP * step
        return self._steps[min(self._steps, key=lambda known: abs(known - drafting))].value
