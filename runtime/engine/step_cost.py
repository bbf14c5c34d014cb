"""What a step costs, by what is in it: learnt from the steps that were taken.

Pure arithmetic. Refuses to know what is guessed, and whether it is worth it.
"""

from __future__ import annotations

from bisect import bisect_left


class Mean:
    """The mean of what was measured, older ones fading; 0.0 of nothing.

    Nothing counts as more than `_OUTLIER` times the mean before it: a step that long waited for another process.
    """

    _OUTLIER = 4.0

    def __init__(self, fade: float) -> None:
        self._fade = fade
        self._weight = self._sum = 0.0

    def add(self, value: float) -> None:
        if self._weight:
            value = min(value, self._OUTLIER * self.value)
        self._weight = self._fade * self._weight + 1
        self._sum = self._fade * self._sum + value

    @property
    def value(self) -> float:
        return self._sum / self._weight if self._weight else 0.0


class _Size:
    """Steps with so many tokens: how long they took, and which was the last."""

    def __init__(self, seconds: Mean) -> None:
        self.seconds = seconds
        self.seen = 0


_FRESH = 512
"""Steps after which one of a size counts as never seen; it is looked at as often."""

_UNSEEN = 0.1
"""Of what each token before costs: what one more is taken to cost where no step of the size has been seen."""


class StepCost:
    """How long a step takes, by the tokens in its batch: a line through those measured, older ones fading.

    seconds = fixed + per_token * tokens. Until steps of different sizes have been seen, `per_token` is assumed.
    """

    _FADE = 0.97
    _ASSUMED = 0.25
    """Of a step with one token: what one more is assumed to cost."""

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0
        self._steps = 0
        self._sizes: dict[int, _Size] = {}
        self._known: list[int] = []
        """The sizes of which a step has been seen, and not too long ago; in order."""
        self._plain: dict[int, Mean] = {}
        """Seconds of steps without guesses, by how many streams they had."""

    def observe(self, streams: int, guesses: int, seconds: float) -> float:
        """A step over `streams` and their `guesses`, and nothing else, took so long.

        Returns what each guess of it has cost, in the measure of `of_guess`: the line tells what to expect, but the
        second token of a batch may cost more than the third.
        """
        self._fit(streams + guesses, seconds)
        self._steps += 1
        size = self._sizes.get(streams + guesses)
        if size is None:
            size = self._sizes[streams + guesses] = _Size(Mean(self._FADE))
        if not size.seen or self._steps - size.seen >= _FRESH or not self._steps % _FRESH:
            size.seen = self._steps
            self._known = sorted(n for n, one in self._sizes.items() if self._steps - one.seen < _FRESH)
        size.seconds.add(seconds)
        size.seen = self._steps
        if not guesses:
            self._plain.setdefault(streams, Mean(self._FADE)).add(seconds)
            return 0.0
        plain = self.plain(streams)
        if not plain:
            return self.of_guess(streams)
        return min(max((seconds / plain - 1) * streams / guesses, 0.0), 1.0)

    @property
    def sizes(self) -> int:
        """How many sizes of steps are known."""
        return len(self._known)

    def plain(self, streams: int) -> float:
        """How many seconds a step over `streams` without guesses takes; 0.0 where no such step has been seen."""
        mean = self._plain.get(streams)
        return mean.value if mean is not None else 0.0

    def of_guesses(self, streams: int, guesses: int) -> float:
        """What each of so many guesses costs in a step over `streams`, in the measure of `of_guess`, by `of_step`."""
        plain = self.plain(streams)
        if not plain or not guesses:
            return self.of_guess(streams)
        return max(self.of_step(streams + guesses) / plain - 1, 0.0) * streams / guesses

    def of_step(self, tokens: int) -> float:
        """How many seconds a step with so many tokens in its batch takes; 0.0 where none has been seen.

        As it was when one was seen, which need not lie on a line: on a processor the second token may cost as much as
        the first, and the next three together as much again. Between two that were seen, on the line between them;
        beyond, a token more is taken to cost next to nothing, so that it is tried once.
        """
        known = self._known
        place = bisect_left(known, tokens)
        if place == len(known):
            if not known:
                return 0.0
            last = self._sizes[known[-1]].seconds.value
            return last + (tokens - known[-1]) * _UNSEEN * last / known[-1]
        above = self._sizes[known[place]].seconds.value
        if known[place] == tokens or not place:
            return above
        below = self._sizes[known[place - 1]].seconds.value
        share = (tokens - known[place - 1]) / (known[place] - known[place - 1])
        return below + share * (above - below)

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
