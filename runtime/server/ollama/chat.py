"""`/api/chat`: an answer to a conversation, with reasoning and tool calls."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.conversation import Conversation
from runtime.chat.job import ChatJob, chat_job
from runtime.engine.backend import Model
from runtime.engine.types import FinishedEvent, Probabilities
from runtime.media.given import Gathering
from runtime.server.beside import beside_the_loop
from runtime.server.chatting import Call, ChatAnswer, answer_chat
from runtime.server.dialect import Failure
from runtime.server.json import json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.ollama.answers import ending, head, logprobs, without_text
from runtime.server.ollama.fields import (
    AnswerFields,
    answering_name,
    check_fields,
    read_body,
    thinking,
    unloads,
    wanted_generation,
    wanted_schema,
)
from runtime.server.ollama.messages import ChatMessage, messages
from runtime.server.stream import LINES
from runtime.server.tools import ToolField, offered
from runtime.settings import Settings


class ChatRequest(AnswerFields):
    """The body of `/api/chat`."""

    messages: list[ChatMessage] | None = None
    tools: list[ToolField] | None = None


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a conversation; an empty one says that the model is loaded, or was unloaded."""
    began = time.monotonic()
    body = await read_body(request, ChatRequest)
    hosted = request.app[MODELS].choose_generator(body.model)
    name = answering_name(body, hosted)
    check_fields(body, name, hosted, "chat")
    if not body.messages:
        ended = unloads(hosted, body.keep_alive)
        return json_response({**without_text(name, unloads=ended), "message": _message("", "", ())})
    settings = request.app[SETTINGS]
    takes_long = isinstance(body.format, dict) or bool(body.tools)
    job = await beside_the_loop(request, lambda: _job(body, name, hosted, settings), takes_long=takes_long)
    writer = _Writer(body, name, hosted.loaded(), began)
    return await answer_chat(request, hosted, job, writer, streams=body.stream is not False)


def _job(body: ChatRequest, name: str, hosted: HostedModel, settings: Settings) -> ChatJob:
    thinks, effort = thinking(body, name, can_think=hosted.prompts().thinks)
    media = Gathering()
    turns = messages(body.messages or [], media)
    conversation = Conversation(
        messages=turns,
        media=media.given,
        tools=offered(body.tools or ()).tools,
        schema=wanted_schema(body.format),
        thinks=thinks,
        effort=effort,
        continues_last=turns[-1].role == "assistant" and bool(turns[-1].content) and not turns[-1].tool_calls,
    )
    return chat_job(hosted, conversation, wanted_generation(body, hosted, settings))


class _Writer:
    """How `/api/chat` answers. A tool call is one object, so it waits until its arguments are whole."""

    framing = LINES

    def __init__(self, body: ChatRequest, name: str, model: Model, began: float) -> None:
        self._name = name
        self._model = model
        self._n_top = body.top_logprobs or 0
        self._began = began
        self._calls: dict[int, Call] = {}
        """Those that have begun and not been sent."""

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:  # noqa: ARG002
        for delta in deltas:
            if isinstance(delta, CallDelta):
                begun = self._calls.get(delta.index) or Call(delta.id, delta.name, "")
                self._calls[delta.index] = msgspec.structs.replace(begun, arguments=begun.arguments + delta.arguments)
        content, thoughts = _texts(deltas)
        given = logprobs(self._model, probabilities, self._n_top)
        calls = self._sendable(but_last=True)
        if content or thoughts or calls or given:
            yield {**head(self._name), "message": _message(content, thoughts, calls), "done": False, **given}

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:  # noqa: ARG002
        calls = self._sendable(but_last=False)
        if calls:
            yield {**head(self._name), "message": _message("", "", calls), "done": False}
        yield {**head(self._name), "message": _message("", "", ()), **ending(event, self._began)}

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:  # noqa: ARG002
        return ()

    def failed(self, failure: Failure) -> Iterable[Any]:
        return ({"error": failure.message},)

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        one = answers[0]
        calls = _call_objects(dict(enumerate(one.calls)))
        return {
            **head(self._name),
            "message": _message(one.content, one.reasoning, calls),
            **ending(one.finished, self._began),
            **logprobs(self._model, one.probabilities, self._n_top),
        }

    def _sendable(self, *, but_last: bool) -> Sequence[dict[str, Any]]:
        """The calls that are whole: all but the one that came last, which more may be coming of."""
        whole = sorted(self._calls)[: -1 if but_last else None]
        return _call_objects({index: self._calls.pop(index) for index in whole})


def _texts(deltas: Sequence[Delta]) -> tuple[str, str]:
    """Content and reasoning."""
    content = "".join(delta.text for delta in deltas if isinstance(delta, ContentDelta))
    return content, "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))


def _message(content: str, thoughts: str, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What it does not have is left out, but for `content`."""
    return {
        "role": "assistant",
        "content": content,
        **({"thinking": thoughts} if thoughts else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _call_objects(calls: dict[int, Call]) -> Sequence[dict[str, Any]]:
    """Each with its arguments as an object. One that the answer ended in the middle of is left out."""
    objects = []
    for index, call in calls.items():
        try:
            arguments = msgspec.json.decode(call.arguments, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            continue
        function = {"index": index, "name": call.name, "arguments": arguments}
        objects.append({"id": call.id, "function": function})
    return objects
