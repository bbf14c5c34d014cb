"""What a person sees while models are loaded: nothing of what is over in a moment, then a bar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runtime.console.aside import Aside
from runtime.console.meter import LONGEST_BAR, SHORTEST_BAR, bar, bar_beside, size
from runtime.console.widths import shortened, width_of
from runtime.models.served import ServedModel, loaded_share

_SOON = 0.5
"""Seconds that nothing is said of what takes no longer."""

_REDRAW_SECONDS = 0.1

_SHORTEST_NAME = 8
"""Columns."""


@asynccontextmanager
async def loading_shown(served: Sequence[ServedModel], aside: Aside) -> AsyncIterator[None]:
    """While the block runs, which waits for `served`."""
    drawing = asyncio.create_task(_draw(served, aside)) if aside.is_heard else None
    try:
        yield
    finally:
        if drawing is not None:
            drawing.cancel()
        aside.clear()


async def _draw(served: Sequence[ServedModel], aside: Aside) -> None:
    await asyncio.sleep(_SOON)
    names, whole = ", ".join(one.name for one in served), size(sum(one.size for one in served))
    while True:
        share = loaded_share(served)
        aside.status(_line(names, share, whole, aside.width))
        await asyncio.sleep(_REDRAW_SECONDS)


def _line(names: str, share: float, whole: str, width: int) -> str:
    """What is loaded and how far, in `width` columns: where they are few, a shorter bar and name, no name or no bar."""
    said = f"{share:.0%} of {whole}"
    room = width - len(f"Loading   [] {said}")
    signs = min(LONGEST_BAR, max(room - width_of(names), SHORTEST_BAR))
    if room - signs >= _SHORTEST_NAME:
        return f"Loading {shortened(names, room - signs)}  {bar(share, signs)} {said}"
    return bar_beside(said, share, width)
