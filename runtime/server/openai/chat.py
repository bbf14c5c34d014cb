"""`/v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.answer import CallDelta, ContentDelta, Delta
from runtime.engine.backend import Model
from runtime.engine.types import FinishedEvent, FinishReason, Probabilities, Sampling
from runtime.server.chat_messages import ChatFields, conversation
from runtime.server.chatting import Call, ChatAnswer, ChatJob, answer_chat, chat_job
from runtime.server.dialect import Failure, error_object
from runtime.server.errors import BadRequest
from runtime.server.generating import generation_request
from runtime.server.json import beside_the_loop, decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.openai.usage import usage_object
from runtime.server.probabilities import token_probabilities
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.server.stream import EVENTS_UNTIL_DONE
from runtime.server.timings import timings
from runtime.settings import Settings

_FINISH_REASONS = {
    FinishReason.END_OF_TEXT: "stop",
    FinishReason.STOP_STRING: "stop",
    FinishReason.MAX_TOKENS: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.TIME_LIMIT: "length",
    FinishReason.ABORTED: "stop",
}

_MAX_TOP_LOGPROBS = 20
"""OpenAI's limit."""


class StreamOptions(msgspec.Struct):
    """What a stream is to hold besides text."""

    include_usage: bool | None = None


class ChatRequest(ChatFields):
    """The body of `/v1/chat/completions`."""

    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    body = await decode(request, ChatRequest)
    hosted = request.app[MODELS].find(body.model)
    hosted.engine.generator()
    settings = request.app[SETTINGS]
    takes_long = bool(body.json_schema is not None or body.response_format or body.tools)
    job = await beside_the_loop(request, lambda: _job(body, hosted, settings), takes_long=takes_long)
    return await answer_chat(request, hosted, job, _Writer(hosted, body), streams=bool(body.stream), n=body.n)


def _job(body: ChatRequest, hosted: HostedModel, settings: Settings) -> ChatJob:
    limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    sampling = _sampling(body, settings.sampling, hosted.loaded())
    max_tokens = token_limit(limit, settings.max_tokens, "max_tokens")
    wanted = generation_request(body, (), max_tokens, sampling, hosted.engine)
    return chat_job(hosted, conversation(body), wanted)


def _sampling(body: ChatRequest, defaults: Sampling, model: Model) -> Sampling:
    if body.logprobs:
        body.n_probs = body.top_logprobs or 0
        if not 0 <= body.n_probs <= _MAX_TOP_LOGPROBS:
            raise BadRequest(f"top_logprobs: must be from 0 to {_MAX_TOP_LOGPROBS}", "top_logprobs")
    elif body.top_logprobs:
        raise BadRequest("top_logprobs: needs logprobs to be true", "top_logprobs")
    sampling = resolve_sampling(body, defaults, model)
    if body.logprobs:  # the token's own probability, even where no others are wanted
        sampling = msgspec.structs.replace(sampling, n_probs=max(sampling.n_probs, 1))
    return sampling


class _Writer:
    """How `/v1/chat/completions` answers: the role, the parts, the reason to finish, and the usage if asked for."""

    framing = EVENTS_UNTIL_DONE

    def __init__(self, hosted: HostedModel, body: ChatRequest) -> None:
        self._model = hosted.loaded()
        self._name = hosted.name
        self._id = f"chatcmpl-{secrets.token_urlsafe(18)}"
        self._created = int(time.time())
        self._wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        self._wants_logprobs = bool(body.logprobs)
        self._top_logprobs = body.top_logprobs or 0
        self._calling: set[int] = set()

    def opening(self, index: int) -> Iterable[Any]:
        return (self._chunk(index, {"role": "assistant", "content": None}),)

    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:
        chunks = [self._chunk(index, self._delta(index, delta)) for delta in deltas]
        if self._wants_logprobs and probabilities:
            chunks = chunks or [self._chunk(index, {"content": ""})]
            chunks[0]["choices"][0].update(self._logprobs(probabilities))
        return chunks

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        final = self._chunk(index, {}, self._finish_reason(event, calls=index in self._calling))
        if not self._wants_usage:
            final["timings"] = timings(event.usage)
        return (final,)

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:
        if not self._wants_usage:
            return ()
        chunk = {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": usage_object(finished),
            "timings": timings(finished[0].usage),
        }
        return (chunk,)

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        choices = [
            {
                "index": index,
                "message": _message(one),
                "finish_reason": self._finish_reason(one.finished, calls=bool(one.calls)),
                **self._logprobs(one.probabilities),
            }
            for index, one in enumerate(answers)
        ]
        finished = [one.finished for one in answers]
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": usage_object(finished),
            "timings": timings(finished[0].usage),
        }

    def _delta(self, index: int, delta: Delta) -> dict[str, Any]:
        if isinstance(delta, ContentDelta):
            return {"content": delta.text}
        if not isinstance(delta, CallDelta):
            return {"reasoning_content": delta.text}
        self._calling.add(index)
        function = {"name": delta.name} if delta.name else {}
        head = {"id": delta.id, "type": "function"} if delta.id else {}
        call = {"index": delta.index, **head, "function": {**function, "arguments": delta.arguments}}
        return {"tool_calls": [call]}

    def _finish_reason(self, event: FinishedEvent, *, calls: bool) -> str:
        reason = _FINISH_REASONS[event.reason]
        return "tool_calls" if calls and reason == "stop" else reason

    def _chunk(self, index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _logprobs(self, given: tuple[Probabilities, ...]) -> dict[str, Any]:
        if not self._wants_logprobs or not given:
            return {}
        content = token_probabilities(self._model, given, post_sampling=False)
        return {
            "logprobs": {
                "content": [{**one, "top_logprobs": one["top_logprobs"][: self._top_logprobs]} for one in content]
            }
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._name}


def _message(one: ChatAnswer) -> dict[str, Any]:
    """The whole answer as a message; what it does not have is left out, but for `content`."""
    message: dict[str, Any] = {"role": "assistant", "content": one.content if one.content or not one.calls else None}
    if one.reasoning:
        message["reasoning_content"] = one.reasoning
    if one.calls:
        message["tool_calls"] = [_call(call) for call in one.calls]
    return message


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
