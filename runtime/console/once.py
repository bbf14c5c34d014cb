"""`-p`: one answer on standard output, streamed. Nothing else is printed there."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable

import msgspec

from runtime.chat.answer import ContentDelta, ReasoningDelta
from runtime.chat.conversation import Conversation
from runtime.chat.fallback import fallback_of
from runtime.chat.job import ChatFinished, chat_job
from runtime.chat.messages import Message
from runtime.chat.prompts import Prompts
from runtime.console.abilities import columns
from runtime.console.answering import Answering
from runtime.console.aside import Aside
from runtime.console.errors import AnswerCutOff, NoPrompt
from runtime.console.loading import loading_shown
from runtime.console.markdown.span import Span
from runtime.console.markdown.wrapping import Wrapped
from runtime.console.printable import printable
from runtime.console.showing import show
from runtime.console.speed import speed_of
from runtime.console.standard_input import read_text, repaired
from runtime.console.waiting import Waiting
from runtime.engine.errors import CannotGenerate
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest
from runtime.media.given import Gathering, Given, joined
from runtime.models.served import ServedModel
from runtime.settings import Settings


def answer_once(served: ServedModel, settings: Settings) -> None:
    """Answer `settings.prompt` and what is piped in. A reader that goes away (`| head`) ends the program quietly.

    Raises `InputTooLarge`, `InputNotText`, `NoPrompt`, `AnswerCutOff`, and what loading and the engine do.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    assert settings.prompt is not None
    prompt = _with_input(settings.prompt)
    if not prompt and not settings.raw and not settings.images and not settings.sounds:
        raise NoPrompt
    asyncio.run(_answer(served, msgspec.structs.replace(settings, prompt=prompt), Aside()))


def _with_input(prompt: str) -> str:
    """`prompt`, and below it what is piped in; from a terminal only where there is no prompt."""
    prompt = repaired(prompt)
    stdin = sys.stdin
    if stdin is None or (prompt and stdin.isatty()):
        return prompt
    return "\n\n".join(part for part in (prompt, read_text(stdin.buffer)) if part)


async def _answer(served: ServedModel, settings: Settings, aside: Aside) -> None:
    async with loading_shown([served], aside):
        backend = await asyncio.wrap_future(served.engine.ready)
    if backend.generator is None:
        raise CannotGenerate
    has_template = fallback_of(backend.model.facts, settings.chat.template) is None
    if not has_template and settings.system is None and not settings.images and not settings.sounds:
        aside.say("The model has no chat template: the text is gone on with as it is\n")
        settings = msgspec.structs.replace(settings, raw=True)
    out = _Output(aside)
    try:
        with Waiting(aside) as waiting:
            answer = _raw(served, settings) if settings.raw else _chat(served, settings, waiting, aside)
            async for event in answer:
                if isinstance(event, str):
                    if event:
                        waiting.end()
                    out.write(event)
                else:
                    waiting.end()
                    _end(event, settings, out, aside)
    except asyncio.CancelledError:
        out.end()
        raise


async def _raw(served: ServedModel, settings: Settings) -> AsyncIterator[str | FinishedEvent]:
    """The prompt's continuation."""
    assert settings.prompt is not None
    prompt = served.engine.backend().model.tokenize(settings.prompt, add_special=True, parse_special=True)
    async for event in served.engine.submit(_wanted(settings, prompt)):
        yield event.text
        if isinstance(event, FinishedEvent):
            yield event


async def _chat(
    served: ServedModel, settings: Settings, waiting: Waiting, aside: Aside
) -> AsyncIterator[str | FinishedEvent]:
    """The answer to the prompt as a user's message, below what is shown. What is thought before it is said aside."""
    assert settings.prompt is not None
    prompts = Prompts(served.engine, settings.system, settings.chat)
    media = _shown(served, settings)
    content = joined((*(one.mark for one in media), settings.prompt or None))
    conversation = Conversation((Message("user", content),), media=media)
    job = chat_job(prompts, conversation, _wanted(settings, ()))
    thinks = False
    answering = Answering(served.engine, job)
    waiting.read = lambda: answering.read
    async for part in answering.parts():
        if isinstance(part, ReasoningDelta):
            waiting.end()
            aside.say(part.text)
            thinks = True
        elif isinstance(part, ContentDelta):
            if thinks:
                aside.say("\n\n")
                thinks = False
            yield part.text
        elif isinstance(part, ChatFinished):
            yield part


def _shown(served: ServedModel, settings: Settings) -> tuple[Given, ...]:
    """The pictures and sounds that go with the prompt. Raises `MediaError`, `OSError`."""
    projector, gathering = served.engine.backend().projector, Gathering()
    for path in settings.images:
        show("picture", path, gathering, projector)
    for path in settings.sounds:
        show("sound", path, gathering, projector)
    return gathering.given


def _wanted(settings: Settings, prompt: tuple[int, ...]) -> GenerationRequest:
    return GenerationRequest(prompt, settings.max_tokens, sampling=settings.sampling, reports_progress=True)


def _end(event: FinishedEvent, settings: Settings, out: _Output, aside: Aside) -> None:
    """The last line, and whether all of the answer is there. Raises `AnswerCutOff`."""
    out.end()
    aside.say(f"{speed_of(event.usage)}\n")
    has_form = bool(settings.sampling.grammar)
    if event.reason is FinishReason.CONTEXT_FULL and (has_form or not settings.raw):
        raise AnswerCutOff("the context is full", "Shorten the prompt, or start with a larger --ctx-size.")
    if event.reason is FinishReason.MAX_TOKENS and has_form:
        raise AnswerCutOff(f"it has the {settings.max_tokens:,} tokens of --n-predict", "Allow more of them with -n.")


class _Output:
    """Standard output: UTF-8 whatever the locale says, since it is what every terminal and file expects today."""

    def __init__(self, aside: Aside) -> None:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
        self._stream = sys.stdout.buffer
        self._lines = Wrapped(columns(sys.stdout)) if sys.stdout.isatty() else None
        self._aside = aside
        self._last = ""

    def write(self, text: str) -> None:
        if text:
            self._aside.clear()
            self._last = text[-1]
            self._put(text if self._lines is None else _text(self._lines.push([Span(printable(text))])))

    def end(self) -> None:
        """An answer ends with its line."""
        if self._lines is not None:
            self._put(_text(self._lines.finish()))
        if self._last != "\n":
            self._put("\n")
            self._last = "\n"

    def _put(self, text: str) -> None:
        self._stream.write(text.encode(errors="replace"))
        self._stream.flush()


def _text(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)
