"""Computes, while a bundle is built, the state of a text that its prompts will begin with.

The text is the system prompt of a chat where there is a chat template, as it comes before the user's first word;
elsewhere it is the prompt itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from runtime.bundle import WARM_STATE, Bundle, Warm
from runtime.engine.beginnings import common_prefix
from runtime.engine.cache import WORTH_WAITING
from runtime.engine.types import GenerationRequest
from runtime.errors import LoafError
from runtime.models.loading import open_models
from runtime.models.served import ServedModel
from runtime.models.warmth import conditions
from runtime.settings import GpuSettings, Settings

_ENDINGS = ("a", "B", "1", "(", " a", "\na")
"""What may come next. The last tokens before it depend on it, so what they have in common counts."""


class TooShort(LoafError):
    """The text comes to so few `tokens` that nobody would go on from them."""

    def __init__(self, tokens: int) -> None:
        super().__init__(f"the text of --warm comes to {tokens} tokens", f"From {WORTH_WAITING} on it is of use.")
        self.tokens = tokens


def compute_state(bundle: Bundle, settings: Settings, text: str, path: Path) -> Warm:
    """Write the state of `text` to `path`, and return what it depends on.

    On the processor, so that it does not depend on a GPU. Raises `TooShort`, `CannotGenerate`, `PromptTooLong`,
    `TemplateFailed`, and what loading raises.
    """
    settings = msgspec.structs.replace(settings, prompt=text, gpu=GpuSettings(backend="disable"))
    (served,) = open_models(bundle, settings)
    try:
        tokens = asyncio.run(_compute(served, settings, text, path))
    finally:
        served.stop()
        served.engine.join()
    return msgspec.structs.replace(conditions(bundle, settings.engine), entry=WARM_STATE, tokens=tokens)


async def _compute(served: ServedModel, settings: Settings, text: str, path: Path) -> int:
    """How many tokens it is."""
    await asyncio.wrap_future(served.engine.ready)
    served.engine.generator()
    prompts = list(map(_renderer(served, settings, text), _ENDINGS))
    tokens = prompts[0][: min(common_prefix(prompts[0], other) for other in prompts[1:])]
    if len(tokens) < WORTH_WAITING:
        raise TooShort(len(tokens))
    async for _event in served.engine.submit(GenerationRequest(tokens, max_tokens=0)):
        pass
    slot = next(state.slot for state in served.engine.stats().slots if state.held_tokens)
    await asyncio.wrap_future(served.engine.save_slot(slot, path))
    return len(tokens)


def _renderer(served: ServedModel, settings: Settings, text: str) -> Callable[[str], tuple[int, ...]]:
    """From what comes after `text` to the tokens of the whole prompt."""
    model = served.engine.backend().model
    if (settings.chat.template or model.facts.chat_template) is None:
        return lambda ending: model.tokenize(text + ending, add_special=True, parse_special=True)
    from runtime.chat.conversation import Conversation
    from runtime.chat.messages import Message
    from runtime.chat.prompts import Prompts

    prompts = Prompts(served.engine, None, settings.chat)
    system = Message("system", text.strip())
    return lambda ending: prompts.prepare(Conversation((system, Message("user", ending)))).tokens
