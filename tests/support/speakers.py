"""Models that say what a test has written for them, and a chat with them as a person types it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
from pathlib import Path

from runtime.console.chat import Chat
from runtime.console.models import ChatModels
from runtime.console.screen import Screen
from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import ServedModel
from runtime.settings import Settings
from support.fakes import FakeContext, FakeModel


class Speaker(FakeModel):
    """Says `script`, a piece a token, over and over with `goes_on`; remembers what it was asked."""

    def __init__(self, *script: str, goes_on: bool = False) -> None:
        super().__init__(ends_at=0 if goes_on else len(script) + 2, wraps_at=len(script) + 1 if goes_on else None)
        self.script = script
        self.asked: list[str] = []
        self.interrupts_at: int | None = None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        if not parse_special or not add_special:
            return ()
        self.asked.append(text)
        return (*[900] * len(text.split()), 1)

    def piece(self, token: int, *, special: bool = False) -> bytes:  # noqa: ARG002
        if token == self.interrupts_at:
            self.interrupts_at = None
            os.kill(os.getpid(), signal.SIGINT)
        return b"" if token == 1 else self.script[token - 2].encode()


def chat(
    speaker: Speaker,
    *typed: str | type[BaseException],
    settings: Settings | None = None,
    n_ctx: int = 500,
    another: Speaker | None = None,
) -> str:
    """What the screen shows of a chat in which all that is `typed`, and then Ctrl-D."""
    screen = io.StringIO()
    waiting = [*typed, EOFError]

    async def read() -> str:
        text = waiting.pop(0)
        if isinstance(text, str):
            screen.write(f"> {text}\n")
            return text
        raise text

    async def main() -> None:
        speakers = {"fake": speaker} | ({"another": another} if another else {})
        given = settings or Settings()
        served = [served_model(name, FakeContext(n_ctx=n_ctx, model=each)) for name, each in speakers.items()]
        try:
            for one in served[:1] if given.loads_when_chosen else served:
                one.engine.start()
                await asyncio.wrap_future(one.engine.ready)
            talking = Chat(ChatModels(served, given), given, Screen(screen), read)
            await asyncio.wait_for(talking.run(), 30)
        finally:
            for one in served:
                one.engine.stop()
                one.engine.join(10)

    asyncio.run(main())
    return screen.getvalue()


def served_model(name: str, context: FakeContext) -> ServedModel:
    engine = Engine(lambda: context)  # type: ignore[arg-type,return-value]
    return ServedModel(name, Weights(Path(f"{name}.gguf")), 0, "", engine, threading.Event())
