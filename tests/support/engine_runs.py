"""An engine over the fake backend, for as long as a test takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from runtime.engine.engine import Engine
from runtime.engine.jobs import Generation
from runtime.engine.pieces import Prompt
from runtime.engine.types import EmbeddingRequest, Event, FinishedEvent, GenerationRequest
from support.fakes import FakeContext, FakeSampler


def with_engine(
    context: FakeContext, body: Callable[[Engine], Awaitable[None]], *, max_waiting: int = 100, shifts: bool = False
) -> None:
    """Run `body` with a started engine, then stop it and see that nothing is left."""

    async def main() -> None:
        engine = Engine(lambda: context, max_waiting=max_waiting, shifts=shifts)  # type: ignore[arg-type,return-value]
        engine.start()
        await asyncio.wrap_future(engine.ready)
        try:
            await asyncio.wait_for(body(engine), 30)
        finally:
            engine.stop()
            if context.gate is not None:
                context.gate.release(1000)
            engine.join(10)
        assert context.closed
        assert FakeSampler.live == 0, "a sampler was not freed"

    asyncio.run(main())


def request(*prompt: int, max_tokens: int | None = None, stop: tuple[str, ...] = ()) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens, stop)


def vectors_of(*texts: tuple[int, ...]) -> EmbeddingRequest:
    return EmbeddingRequest(tuple(map(Prompt, texts)))


async def collect(generation: Generation) -> tuple[str, FinishedEvent]:
    text = ""
    async for event in generation:
        text += event.text
        if isinstance(event, FinishedEvent):
            return text, event
    raise AssertionError("no FinishedEvent")


async def events_of(generation: Generation) -> list[Event]:
    return [event async for event in generation]
