"""What a person sees of a batch: a bar while it runs, what failed as it does, a line when it is over."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from runtime.console.aside import Aside
from runtime.console.meter import bar, clock
from runtime.console.printable import printable

_REDRAW_SECONDS = 0.2


class Tally(msgspec.Struct):
    """What has become of the requests so far. `before`: they had been done by runs before this one."""

    answered: int = 0
    failed: int = 0
    before: int = 0

    @property
    def seen(self) -> int:
        return self.answered + self.failed + self.before


class Failures:
    """Names what fails as it does, on standard error: the first of them, as results have all."""

    _MOST = 20

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._said = 0

    def say(self, which: str, reason: str) -> None:
        self._said += 1
        if self._said > self._MOST + 1:
            return
        self._aside.clear()
        text = f"{which}: {reason}" if self._said <= self._MOST else "more have failed: the results name them all"
        print(printable(text), file=sys.stderr, flush=True)


class Meter:
    """Tokens and seconds of this run. `total` is None while nobody knows how many requests there are."""

    def __init__(self, tokens: Callable[[], int], tally: Tally, total: int | None) -> None:
        self._tokens = tokens
        self._tally = tally
        self._total = total
        self._began = time.monotonic()

    def line(self) -> str:
        """As in `[####....]  210 of 500, 1 failed  410 tokens/s  1:05 left`."""
        tally, seconds = self._tally, time.monotonic() - self._began
        failed = f", {tally.failed:,} failed" if tally.failed else ""
        parts = [f"{tally.seen:,} of {self._total:,}{failed}" if self._total else f"{tally.seen:,}{failed}"]
        if self._total:
            parts.insert(0, bar(tally.seen / self._total))
        if seconds >= 1:
            parts.append(f"{self._tokens() / seconds:,.0f} tokens/s")
            parts.append(self._time(seconds))
        return "  ".join(parts)

    def summary(self, output: str) -> str:
        """As in `out.jsonl: 498 answered, 2 failed; 12,345 tokens in 0:30, 410 tokens/s`."""
        tally, seconds, tokens = self._tally, time.monotonic() - self._began, self._tokens()
        before = f", {tally.before:,} done before" if tally.before else ""
        speed = f", {tokens / seconds:,.0f} tokens/s" if tokens else ""
        counts = f"{tally.answered:,} answered, {tally.failed:,} failed{before}"
        return f"{output}: {counts}; {tokens:,} tokens in {clock(seconds)}{speed}"

    @asynccontextmanager
    async def shown(self, aside: Aside) -> AsyncIterator[None]:
        """Redrawn while the block runs, where somebody looks."""
        drawing = asyncio.create_task(self._draw(aside)) if aside.is_heard else None
        try:
            yield
        finally:
            if drawing is not None:
                drawing.cancel()
            aside.clear()

    async def _draw(self, aside: Aside) -> None:
        while True:
            aside.status(self.line())
            await asyncio.sleep(_REDRAW_SECONDS)

    def _time(self, seconds: float) -> str:
        """What is left, once this run has done something to tell by; else what has passed."""
        now = self._tally.answered + self._tally.failed
        if not self._total or not now:
            return clock(seconds)
        return f"{clock(seconds / now * (self._total - self._tally.seen))} left"
