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
from runtime.console.models import ChatModels, any_writes
from runtime.engine.errors import CannotGenerate
from runtime.models.served import ServedModel
from runtime.settings import Settings


def chat(served: Sequence[ServedModel], settings: Settings) -> None:
    """Chat until the person or a signal ends it. Raises `NoTerminal`, `CannotGenerate`, and what loading does."""
    asyncio.run(_chat(served, settings))


async def _chat(served: Sequence[ServedModel], settings: Settings) -> None:
    aside = Aside()
    loading = served[:1] if settings.loads_when_chosen else served
    async with loading_shown(loading, aside):
        await asyncio.gather(*(asyncio.wrap_future(one.engine.ready) for one in loading))
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
    """A chat with those of `served` that write text; None where none does. Raises `NoTerminal`."""
    if not has_terminal():
        raise NoTerminal
    if not any_writes(served):
        return None
    from runtime.console.chat import Chat
    from runtime.console.editing.editor import Editor
    from runtime.console.screen import Screen

    return Chat(ChatModels(served, settings), settings, Screen(), Editor().read).run()
