"""The chat: reads what a person types, does what a command says, and writes down what the model answers.

Knows conversations and the engine. How keys become lines, `editing/editor.py` knows; how an answer looks, `screen.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec

from runtime.chat.answer import CallDelta, ReasoningDelta
from runtime.chat.conversation import Conversation
from runtime.chat.job import ChatFinished, ChatJob, chat_job
from runtime.chat.media import takes
from runtime.console.answering import Answering
from runtime.console.aside import Aside
from runtime.console.commands import Command, Mistake, help_groups, parse
from runtime.console.keyboard import silent_keyboard
from runtime.console.markdown.span import Look, Span
from runtime.console.models import ChatModels
from runtime.console.paths import typed_path
from runtime.console.saving import load, save
from runtime.console.screen import Screen
from runtime.console.showing import dropped, show
from runtime.console.speed import speed_of
from runtime.console.transcript import Transcript
from runtime.console.waiting import Waiting
from runtime.console.written import WrittenAnswer
from runtime.engine.backend import Projector
from runtime.engine.types import FinishReason, GenerationRequest
from runtime.errors import LoafError
from runtime.media.given import Gathering, Given
from runtime.media.kinds import Kind
from runtime.settings import Settings

_CUT_OFF = {
    FinishReason.ABORTED: "stopped after {tokens}",
    FinishReason.CONTEXT_FULL: "the context is full: /undo and /clear make room",
    FinishReason.MAX_TOKENS: "that is all that --n-predict allows",
}


class _Measured(msgspec.Struct, frozen=True):
    """The last answer's end, and the seconds that its first part was waited for."""

    finished: ChatFinished
    first_after: float


class Chat:
    """One conversation with `models`, one of them at a time. `read` gives what is typed.

    It raises `EOFError` where nothing more comes, and `KeyboardInterrupt` where a line was given up.
    """

    def __init__(
        self,
        models: ChatModels,
        settings: Settings,
        screen: Screen,
        read: Callable[[], Awaitable[str]],
    ) -> None:
        self._models = models
        self._settings = settings
        self._screen = screen
        self._read = read
        self._transcript = Transcript(settings.system)
        self._answering: Answering | None = None
        self._is_stopped = False
        self._tries = 0
        self._measured: _Measured | None = None
        self._files: set[Path] = set()
        self._gathering = Gathering()
        self._shown: tuple[Given, ...] = ()

    async def run(self) -> None:
        """Until the person ends it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._stop_answer)
        try:
            self._say(f"Chat with {self._models.spoken_with.name}: /help tells how, Ctrl-D ends it")
            while await self._turn():
                pass
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _turn(self) -> bool:
        """A question or a command; whether the chat goes on."""
        try:
            text = (await self._read()).rstrip()
        except EOFError:
            return False
        except KeyboardInterrupt:
            self._say("Ctrl-D ends the chat")
            return True
        meant = parse(text)
        try:
            if isinstance(meant, Command):
                return await self._obey(meant)
            if isinstance(meant, Mistake):
                self._complain(meant.reason)
            elif text:
                await self._ask(text)
        except LoafError as error:
            self._complain(str(error))
        return True

    async def _ask(self, text: str) -> None:
        """What is typed, about the pictures and sounds that were given before it or are dropped at its beginning."""
        found = dropped(text, self._projector())
        for kind, path in found.files:
            self._show(kind, path)
        if found.files:
            text = found.text
        if text:
            self._tries = 0
            asked = self._transcript.asked(text.strip(), self._shown)
            self._shown = ()
            await self._answer(asked)

    def _projector(self) -> Projector | None:
        return self._models.spoken_with.engine.backend().projector

    def _stop_answer(self) -> None:
        self._is_stopped = True
        if self._answering is not None:
            self._answering.stop()

    async def _answer(self, asked: Transcript) -> None:
        """The model's turn. What was said stays, also where it was stopped; where it failed, nothing was asked."""
        started = time.monotonic()
        self._is_stopped = False
        with silent_keyboard():
            job = await asyncio.to_thread(self._job, asked)
            self._answering = Answering(self._models.spoken_with.engine, job)
            try:
                if self._is_stopped:
                    self._answering.stop()
                await self._write(asked, started)
            finally:
                self._answering = None

    def _job(self, asked: Transcript) -> ChatJob:
        sampling = self._settings.sampling
        if sampling.seed is not None:  # another try is another answer
            sampling = msgspec.structs.replace(sampling, seed=(sampling.seed + self._tries) & 0xFFFFFFFF)
        wanted = GenerationRequest((), self._settings.max_tokens, sampling=sampling, reports_progress=True)
        return chat_job(self._models.prompts, Conversation(asked.messages, media=asked.media), wanted)

    async def _write(self, asked: Transcript, started: float) -> None:
        assert self._answering is not None
        answering, answer = self._answering, WrittenAnswer(self._screen)
        first_after: float | None = None
        self._screen.line("")  # between the question and its answer
        with Waiting(Aside(), lambda: answering.read) as waiting:
            async with aclosing(answering.parts()) as parts:
                async for part in parts:
                    if first_after is None:
                        waiting.end()
                        first_after = time.monotonic() - started
                    if isinstance(part, ChatFinished):
                        answer.finish()
                        self._measured = _Measured(part, first_after)
                        self._transcript = asked.answered(answer.content, answer.reasoning)
                        self._say_cut_off(part)
                        self._screen.line("")
                    elif isinstance(part, ReasoningDelta):
                        answer.think(part.text)
                    elif not isinstance(part, CallDelta):  # nobody offered it any tools
                        answer.say(part.text)

    def _say_cut_off(self, finished: ChatFinished) -> None:
        if finished.reason in _CUT_OFF:
            self._say(f"({_CUT_OFF[finished.reason].format(tokens=_tokens(finished.usage.generated_tokens))})")

    async def _obey(self, command: Command) -> bool:
        match command.name:
            case "exit":
                return False
            case "help":
                self._help()
            case "system":
                self._system(command.argument)
            case "clear":
                self._transcript, self._shown = self._transcript.cleared(), ()
                self._say("a new conversation")
            case "undo":
                self._undo()
            case "retry":
                await self._retry()
            case "image":
                self._show("picture", typed_path(command.argument))
            case "audio":
                self._show("sound", typed_path(command.argument))
            case "save":
                self._save(typed_path(command.argument))
            case "load":
                self._load(typed_path(command.argument))
            case "model":
                await self._model(command.argument)
            case "stats":
                self._stats()
        return True

    def _help(self) -> None:
        groups = help_groups()
        width = max(len(written) for lines in groups.values() for written, _does in lines)
        for group, lines in groups.items():
            self._say(group)
            for written, does in lines:
                self._screen.line(does, first=Span(f"  {written:{width}}  ", Look.BOLD))

    def _system(self, text: str) -> None:
        if text:
            self._transcript = self._transcript.with_system(None if text == "-" else text)
        self._say(f"system prompt: {self._transcript.system or 'none'}")

    def _undo(self) -> None:
        undone = self._transcript.undone()
        if undone is None:
            self._complain("nothing was asked yet")
            return
        self._say(f"taken back: {self._transcript.question}")
        self._transcript = undone

    async def _retry(self) -> None:
        asked = self._transcript.unanswered()
        if asked is None:
            self._complain("nothing was asked yet")
            return
        self._tries += 1
        await self._answer(asked)

    def _show(self, kind: Kind, path: Path) -> None:
        if not takes(self._projector(), kind):
            does = {"picture": "see pictures", "sound": "hear sounds"}[kind]
            self._complain(f"this model does not {does}")
            return
        try:
            show(kind, path, self._gathering, self._projector())
        except OSError as error:
            self._complain(f"{path}: {error.strerror or error}")
            return
        self._shown = (*self._shown, self._gathering.given[-1])
        self._say(f"{path.name} goes with what is asked next" if len(self._shown) == 1 else f"{path.name}, too")

    def _save(self, path: Path) -> None:
        if os.path.lexists(path) and path.resolve() not in self._files:
            self._complain(f"{path} exists: name another file, or remove that one")
            return
        try:
            save(self._transcript, path)
        except OSError as error:
            self._complain(f"{path}: {error.strerror or error}")
            return
        self._files.add(path.resolve())
        self._say(f"saved to {path}")

    def _load(self, path: Path) -> None:
        try:
            self._transcript = load(path, self._gathering)
        except OSError as error:
            self._complain(f"{path}: {error.strerror or error}")
            return
        self._files.add(path.resolve())
        self._say(f"{len(self._transcript.turns)} messages; the last of them:")
        if self._transcript.question is not None:
            self._say(f"> {self._transcript.question}")
        if self._transcript.answer is not None:
            answer = WrittenAnswer(self._screen)
            answer.say(self._transcript.answer.content)
            answer.finish()

    async def _model(self, name: str) -> None:
        if name and name != self._models.spoken_with.name:
            try:
                await self._models.speak_with(name)
            except OSError as error:
                self._complain(f"{error.filename or 'system'}: {error.strerror or error}")
                return
            self._measured = None
        others = ", ".join(one.name for one in self._models.others)
        self._say(f"model: {self._models.spoken_with.name}" + (f"; others: {others}" if others else ""))

    def _stats(self) -> None:
        generator = self._models.spoken_with.engine.backend().generator
        assert generator is not None
        if self._measured is None:
            self._say(f"context 0 of {generator.n_ctx:,} tokens; nothing was answered yet")
            return
        usage = self._measured.finished.usage
        used = usage.prompt_tokens + usage.generated_tokens
        self._say(f"context {used:,} of {generator.n_ctx:,} tokens at the last answer ({used / generator.n_ctx:.0%})")
        self._say(f"last answer: {speed_of(usage)}")
        self._say(f"its first word came after {self._measured.first_after:.2f} s")

    def _say(self, text: str) -> None:
        self._screen.line(text, Look.FAINT)

    def _complain(self, text: str) -> None:
        self._screen.line(text, Look.BOLD)


def _tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"
