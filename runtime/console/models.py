"""The models that a chat can be held with, one of which is spoken with.

Knows which of them are loaded: where nothing is served, only that one. Refuses to know what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runtime.chat.prompts import Prompts
from runtime.console.aside import Aside
from runtime.console.errors import NoSuchWriter
from runtime.console.keyboard import silent_keyboard
from runtime.console.loading import loading_shown
from runtime.errors import LoafError
from runtime.models.served import ServedModel
from runtime.settings import Settings


class ChatModels:
    """Those of `served` that write text. The first of them is spoken with, and loaded."""

    def __init__(self, served: Sequence[ServedModel], settings: Settings) -> None:
        self._all = tuple(one for one in served if _writes(one))
        self._first = served[0]
        self._settings = settings
        self.spoken_with = self._all[0]
        self.prompts = self._prompts()

    @property
    def others(self) -> tuple[ServedModel, ...]:
        """Those that are not spoken with."""
        return tuple(one for one in self._all if one is not self.spoken_with)

    def settings(self) -> Settings:
        """What holds for the one that is spoken with."""
        return self._settings if self.spoken_with is self._first else self._settings.of_another_model()

    async def speak_with(self, name: str) -> None:
        """Go on with the model of this name, which is loaded first where it is not.

        Raises `NoSuchWriter`, `CannotGenerate`, `OSError`, and what loading does: it stays with the one before then.
        """
        found = next((one for one in self._all if one.name == name), None)
        if found is None:
            raise NoSuchWriter(name)
        before = self.spoken_with
        if self._settings.loads_when_chosen:
            await _unload(before)
            try:
                await _load(found)
            except (LoafError, OSError):
                await _unload(found)
                await _load(before)
                raise
        self.spoken_with = found
        self.prompts = self._prompts()

    def _prompts(self) -> Prompts:
        return Prompts(self.spoken_with.engine, None, self.settings().chat)


def any_writes(served: Sequence[ServedModel]) -> bool:
    """Whether a chat can be held with any of `served`."""
    return any(map(_writes, served))


def _writes(served: ServedModel) -> bool:
    """As far as is known: one that is loaded when it is chosen was found to, by what the bundle says of it."""
    return not served.engine.ready.done() or served.engine.described().generator is not None


async def _load(served: ServedModel) -> None:
    """Raises what loading does, and `CannotGenerate`."""
    with silent_keyboard():
        async with loading_shown([served], Aside()):
            served.engine.start()
            await asyncio.wrap_future(served.engine.ready)
            await asyncio.wrap_future(served.engine.wake())
    served.engine.generator()


async def _unload(served: ServedModel) -> None:
    """Its memory is free afterwards."""
    if served.engine.sleep():
        await asyncio.wrap_future(served.engine.in_worker(lambda: None))
