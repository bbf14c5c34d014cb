"""One answer from the engine, in its parts as they come: what `-p` and the chat do alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from runtime.chat.answer import Delta
from runtime.chat.job import ChatFinished, ChatJob, TakingApart
from runtime.engine.engine import Engine
from runtime.engine.types import TokenEvent


class Answering:
    """Generates from the moment it is made. Iterate it in the event loop that it was made in."""

    def __init__(self, engine: Engine, job: ChatJob) -> None:
        """Raises what the engine does."""
        self._generation = engine.submit(job.request)
        self._taking = TakingApart(job.prepared.parser())
        self.read: float | None = None
        """How much of the prompt is computed, from 0 to 1, where the request asks for it."""

    def stop(self) -> None:
        """Whatever comes next is the end; harmless after it."""
        self._generation.abort()

    async def parts(self) -> AsyncGenerator[Delta | ChatFinished, None]:
        """The last is a `ChatFinished`. Raises what the engine does."""
        async for event in self._generation:
            if isinstance(event, TokenEvent):
                if event.progress is not None:
                    self.read = event.progress.processed / event.progress.usage.prompt_tokens
                for delta in self._taking.token(event):
                    yield delta
            else:
                deltas, finished = self._taking.last(event)
                for delta in deltas:
                    yield delta
                yield finished
