"""The engine over tiny models of random weights: what they say, how surely, and how much of a prompt was reused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.types import FinishedEvent, GenerationRequest, Probabilities, Sampling, TokenEvent, Usage
from runtime.engine.weights import Adapter, Weights
from support.architectures import Architecture

GENERATIVE = [one for one in Architecture if one is not Architecture.RERANKER]
STATEFUL = [Architecture.RECURRENT, Architecture.HYBRID]

T = TypeVar("T")
Said = list[Probabilities]
GREEDY = Sampling(temperature=0.0, ignore_eos=True, n_probs=2)
CLOSE = 0.02
"""How far a probability may be off: batches of other sizes are computed in another order."""
SETTINGS = ContextSettings(1024, 4, 256, 64, 1)


def with_engine(
    gguf: Path,
    body: Callable[[Engine], Awaitable[T]],
    *,
    adapters: tuple[Adapter, ...] = (),
    settings: ContextSettings = SETTINGS,
    shelf_bytes: int = 0,
) -> T:
    async def main() -> T:
        engine = Engine(
            lambda: LlamaBackend(load_model(Weights(gguf), LoadSettings(), threading.Event(), adapters), settings),
            shelf_bytes=shelf_bytes,
        )
        engine.start()
        await asyncio.wrap_future(engine.ready)
        try:
            return await asyncio.wait_for(body(engine), 120)
        finally:
            engine.stop()
            engine.join(10)

    return asyncio.run(main())


async def say(
    engine: Engine,
    prompt: list[int],
    n: int = 6,
    *,
    reuse: bool = True,
    scales: tuple[float, ...] | None = None,
    turns: tuple[int, ...] = (),
) -> tuple[Said, Usage]:
    said: Said = []
    wanted = GenerationRequest(tuple(prompt), n, sampling=GREEDY, reuse_prefix=reuse, scales=scales, turns=turns)
    async for event in engine.submit(wanted):
        if isinstance(event, TokenEvent):
            said += event.probabilities
        if isinstance(event, FinishedEvent):
            return said, event.usage
    raise AssertionError("no FinishedEvent")


def agree(one: Said, other: Said) -> bool:
    """Whether both say the same with the same certainty, up to where two tokens are as good as equal."""
    for a, b in zip(one, other, strict=True):
        if a.sampled.token != b.sampled.token:
            return a.top[0].probability - a.top[1].probability < CLOSE
        if abs(a.sampled.probability - b.sampled.probability) > CLOSE:
            return False
    return True
