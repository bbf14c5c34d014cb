"""How `/v1/chat/completions` answers: the role, the parts, the reason to finish, and the usage if asked for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from runtime import __version__
from runtime.chat.answer import CallDelta, ContentDelta, Delta
from runtime.chat.job import ChatFinished
from runtime.engine.backend import Model
from runtime.engine.types import Probabilities, Progress
from runtime.server.chatting import Assembling, ChatAnswer
from runtime.server.dialect import Failure
from runtime.server.openai.endings import FINISH_REASONS, chat_usage
from runtime.server.openai.errors import error_object
from runtime.server.probabilities import token_probabilities
from runtime.server.stream import EVENTS_UNTIL_DONE
from runtime.server.timings import prompt_progress, timings

Keep = Callable[[str, Any], None]
"""Takes an id, and what is to be found by it."""


class ChatShape(msgspec.Struct, frozen=True):
    """What is in the answers besides text. `top_logprobs` None: no probabilities; 0: those of the tokens alone.

    `shows_usage` at the end of a stream. `calls_functions`: one call is written as there were before there were tools.
    """

    shows_usage: bool
    top_logprobs: int | None
    calls_functions: bool


class ChatWriter:
    """Writes the answers to one request. `keep`, where it is given, takes the whole of them with their id."""

    framing = EVENTS_UNTIL_DONE

    def __init__(self, model: Model, name: str, shape: ChatShape, keep: Keep | None = None) -> None:
        self._model = model
        self._name = name
        self._shape = shape
        self._id = f"chatcmpl-{secrets.token_urlsafe(18)}"
        self._created = int(time.time())
        self._calling: set[int] = set()
        self._keep = keep
        self._assembling: dict[int, Assembling] = {}

    def opening(self, index: int) -> Iterable[Any]:
        return (self._chunk(index, {"role": "assistant", "content": None}),)

    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:
        if self._keep is not None:
            self._assembling.setdefault(index, Assembling()).add(deltas, probabilities)
        chunks = [self._chunk(index, self._delta(index, delta)) for delta in deltas]
        if probabilities and self._shape.top_logprobs is not None:
            chunks = chunks or [self._chunk(index, {"content": ""})]
            chunks[0]["choices"][0].update(self._logprobs(probabilities))
        return chunks

    def progress(self, index: int, progress: Progress) -> Iterable[Any]:
        """How far the prompt has come, as llama-server tells it."""
        return ({**self._chunk(index, {"role": "assistant", "content": None}), **prompt_progress(progress)},)

    def last(self, index: int, event: ChatFinished) -> Iterable[Any]:
        final = self._chunk(index, {}, self._finish_reason(event, calls=index in self._calling))
        if not self._shape.shows_usage:
            final["timings"] = timings(event.usage)
        return (final,)

    def closing(self, finished: Sequence[ChatFinished]) -> Iterable[Any]:
        if self._keep is not None:
            self.whole([self._assembling[index].answer(one) for index, one in enumerate(finished)])
        if not self._shape.shows_usage:
            return ()
        return ({**self._head("chat.completion.chunk"), "choices": [], **_costs(finished)},)

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        choices = [
            {
                "index": index,
                "message": self._message(one),
                "finish_reason": self._finish_reason(one.finished, calls=bool(one.calls)),
                **self._logprobs(one.probabilities),
            }
            for index, one in enumerate(answers)
        ]
        completion = {**self._head("chat.completion"), "choices": choices, **_costs([one.finished for one in answers])}
        if self._keep is not None:
            self._keep(self._id, completion)
        return completion

    def _delta(self, index: int, delta: Delta) -> dict[str, Any]:
        if isinstance(delta, ContentDelta):
            return {"content": delta.text}
        if not isinstance(delta, CallDelta):
            return {"reasoning_content": delta.text}
        self._calling.add(index)
        name = {"name": delta.name} if delta.name else {}
        function = {**name, "arguments": delta.arguments}
        if self._shape.calls_functions:
            return {"function_call": function}
        head = {"id": delta.id, "type": "function"} if delta.id else {}
        return {"tool_calls": [{"index": delta.index, **head, "function": function}]}

    def _message(self, one: ChatAnswer) -> dict[str, Any]:
        """The whole answer as a message; what it does not have is left out, but for `content`."""
        content = one.content if one.content or not one.calls else None
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if one.reasoning:
            message["reasoning_content"] = one.reasoning
        functions = [{"name": call.name, "arguments": call.arguments} for call in one.calls]
        if functions and self._shape.calls_functions:
            message["function_call"] = functions[0]
        elif functions:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": function}
                for call, function in zip(one.calls, functions, strict=True)
            ]
        return message

    def _finish_reason(self, event: ChatFinished, *, calls: bool) -> str:
        reason = FINISH_REASONS[event.reason]
        if not calls or reason != "stop":
            return reason
        return "function_call" if self._shape.calls_functions else "tool_calls"

    def _chunk(self, index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _logprobs(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        top = self._shape.top_logprobs
        if top is None or not given:
            return {}
        content = token_probabilities(self._model, given, post_sampling=False)
        return {"logprobs": {"content": [{**one, "top_logprobs": one["top_logprobs"][:top]} for one in content]}}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._name,
            "system_fingerprint": f"loaf-{__version__}",
        }


def _costs(finished: Sequence[ChatFinished]) -> dict[str, Any]:
    return {"usage": chat_usage(finished), "timings": timings(finished[0].usage)}
