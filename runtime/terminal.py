"""`-p`: one answer on standard output, streamed. Nothing else is printed there."""

from __future__ import annotations

import asyncio
import signal
import sys

from runtime.chat.conversation import Conversation
from runtime.chat.messages import Message
from runtime.engine.types import GenerationRequest
from runtime.loading import ServedModel
from runtime.settings import Settings


def answer_once(served: ServedModel, settings: Settings) -> None:
    """Generate for `settings.prompt` until it ends. A reader that goes away (`| head`) ends the program quietly."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    asyncio.run(_answer(served, settings))


async def _answer(served: ServedModel, settings: Settings) -> None:
    model = (await asyncio.wrap_future(served.engine.ready)).model
    assert settings.prompt is not None
    if settings.raw or model.facts.chat_template is None:
        prompt = model.tokenize(settings.prompt, add_special=True, parse_special=True)
    else:
        from runtime.chat.prompt import PromptBuilder

        conversation = Conversation((Message("user", settings.prompt),))
        prompt = PromptBuilder(model, settings.system).prepare(conversation).tokens
    request = GenerationRequest(prompt, settings.max_tokens, sampling=settings.sampling)
    async for event in served.engine.submit(request):
        _write(event.text)
    _write("\n")


def _write(text: str) -> None:
    """UTF-8 whatever the locale says: it is what every terminal and file expects today."""
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
