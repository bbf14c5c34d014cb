"""A chat in the terminal with the demo model, as a person types it."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

from runtime.console.chat import Chat
from runtime.console.models import ChatModels
from runtime.console.screen import Screen
from runtime.engine.engine import Engine
from runtime.engine.types import Sampling
from runtime.engine.weights import Weights
from runtime.models.served import ServedModel
from runtime.settings import Settings
from support.bundles import DEMO_GGUF
from support.senses import demo_with


def chat(projector: Path | None, *typed: str) -> list[str]:
    """What the screen shows first below each line that is typed, of a chat with the demo model."""
    screen = io.StringIO()
    waiting = list(typed)

    async def read() -> str:
        if not waiting:
            raise EOFError
        screen.write(f"> {waiting[0]}\n")
        return waiting.pop(0)

    async def main() -> None:
        engine = Engine(demo_with(projector))
        engine.start()
        served = ServedModel("demo", Weights(DEMO_GGUF), 0, "", engine, threading.Event())
        settings = Settings(max_tokens=4, sampling=Sampling(temperature=0.0))
        try:
            await asyncio.wrap_future(engine.ready)
            await asyncio.wait_for(Chat(ChatModels([served], settings), settings, Screen(screen), read).run(), 60)
        finally:
            engine.stop()
            engine.join(10)

    asyncio.run(main())
    return [part.partition("\n")[2].partition("\n")[0] for part in screen.getvalue().split("> ")[1:]]
