"""One request's events, on their way from the worker thread to whoever asked.

Knows event loops. Refuses to know how the events come to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from runtime.engine.errors import EngineError
from runtime.engine.sequence import Sequence
from runtime.engine.types import Event, FinishedEvent


class Generation:
    """One request's events, as an async iterator; the last is a `FinishedEvent`.

    Iterate it in the event loop it was submitted from. An error of the engine is raised from the iteration.
    """

    def __init__(self, sequence: Sequence, abort: Callable[[Generation], None]) -> None:
        self.sequence = sequence
        self._abort = abort
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | EngineError] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self._events.get()
            if isinstance(event, EngineError):
                raise event
            yield event
            if isinstance(event, FinishedEvent):
                return

    def abort(self) -> None:
        """Stop generating; the slot is free within one step. Harmless when it has finished."""
        self._abort(self)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def deliver(self, event: Event | EngineError) -> None:
        """Called in the event loop."""
        self._events.put_nowait(event)
