"""A chat from its beginning to its end, alone in the program or beside the server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Sequence
from contextlib import suppress

from runtime.chat.fallback import fallback_line
from runtime.console.abilities import has_terminal
from runtime.console.aside import Aside
from runtime.console.errors import NoTerminal
from runtime.console.loading import loading_shown
from runtime.engine.errors import CannotGenerate
from runtime.models.served import ServedModel
from runtime.settings import Settings


def chat(served: Sequence[ServedModel], settings: Settings) -> None:
    """Chat until the person or a signal ends it. Raises `NoTerminal`, `CannotGenerate`, and what loading does."""
    asyncio.run(_chat(served, settings))


async def _chat(served: Sequence[ServedModel], settings: Settings) -> None:
    aside = Aside()
    async with loading_shown(served, aside):
        await asyncio.gather(*(asyncio.wrap_future(one.engine.ready) for one in served))
    if line := fallback_line(served[0].engine.described().model.facts, settings.chat.template):
        aside.say(f"{line}\n")
    chatting = chat_beside(served, settings)
    if chatting is None:
        raise CannotGenerate
    talking = asyncio.ensure_future(chatting)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):  # the terminal is put right before the program ends
        loop.add_signal_handler(number, talking.cancel)
    with suppress(asyncio.CancelledError):
        await talking


def chat_beside(served: Sequence[ServedModel], settings: Settings) -> Awaitable[None] | None:
    """A chat with those of `served` that write text; None where none does. All are loaded. Raises `NoTerminal`."""
    if not has_terminal():
        raise NoTerminal
    able = [one for one in served if one.engine.backend().generator is not None]
    if not able:
        return None
    from runtime.console.chat import Chat
    from runtime.console.editing.editor import Editor
    from runtime.console.screen import Screen

    return Chat(able, settings, Screen(), Editor().read).run()
