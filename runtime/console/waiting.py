"""What a person sees between a question and the first word of its answer: that something moves, and how far it is."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from types import TracebackType

from runtime.console.aside import Aside

_SOON = 0.15
"""Seconds that nothing is said of what takes no longer."""

_LONG = 1.0
"""Seconds after which it is said how far the prompt is."""

_REDRAW_SECONDS = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Waiting:
    """Shown from when it is made. `read` says how much of the prompt is computed, from 0 to 1; None: nobody knows."""

    def __init__(self, aside: Aside, read: Callable[[], float | None] = lambda: None) -> None:
        self.read = read
        self._aside = aside
        self._drawing = asyncio.create_task(self._draw()) if aside.is_heard else None

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Due before the first word is written; harmless after it."""
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None
            self._aside.clear()

    async def _draw(self) -> None:
        began = time.monotonic()
        await asyncio.sleep(_SOON)
        for frame in itertools.cycle(_FRAMES):
            share = self.read()
            is_long = time.monotonic() - began >= _LONG and share is not None and share < 1
            self._aside.status(f"{frame} reading the question, {share:.0%}" if is_long else frame)
            await asyncio.sleep(_REDRAW_SECONDS)
