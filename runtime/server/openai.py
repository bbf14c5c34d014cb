"""OpenAI's dialect: `/v1/models` and `/v1/chat/completions`."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.messages import Message, ToolCall
from runtime.engine.backend import Backend
from runtime.engine.generation import Generation
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, Usage
from runtime.errors import LoafError
from runtime.server.errors import BadRequest, error_object
from runtime.server.json import decode, json_response
from runtime.server.keys import PROMPTS, SERVED, SETTINGS, STARTED
from runtime.server.sampling import SamplingFields, resolve_sampling, stop_strings, token_limit
from runtime.server.stream import EventStream, aborting
from runtime.server.timings import timings

_FINISH_REASONS = {
    FinishReason.END_OF_TEXT: "stop",
    FinishReason.STOP_STRING: "stop",
    FinishReason.MAX_TOKENS: "length",
    FinishReason.CONTEXT_FULL: "length",
    FinishReason.ABORTED: "stop",
}


class ContentPart(msgspec.Struct):
    """A piece of a message; only text is understood."""

    type: str
    text: str | None = None


class CalledFunction(msgspec.Struct):
    """`arguments` is JSON in a string, as OpenAI sends it."""

    name: str
    arguments: str = "{}"


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far."""

    function: CalledFunction
    id: str = ""


class ChatMessage(msgspec.Struct):
    """A turn of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class StreamOptions(msgspec.Struct):
    """What a stream is to hold besides text."""

    include_usage: bool | None = None


class ChatRequest(SamplingFields):
    """The body of `/v1/chat/completions`."""

    messages: list[ChatMessage] = msgspec.field(default_factory=list)
    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = None


async def models(request: web.Request) -> web.Response:
    """The models that can be asked."""
    served = request.app[SERVED]
    facts = served.engine.context().model.facts
    meta = {
        "n_vocab": facts.vocabulary_size,
        "n_ctx_train": facts.n_ctx_train,
        "n_embd": facts.embedding_length,
        "n_params": facts.parameter_count,
        "size": facts.size,
    }
    model = {
        "id": served.name,
        "object": "model",
        "created": request.app[STARTED],
        "owned_by": "loaf",
        "meta": meta,
    }
    return json_response({"object": "list", "data": [model]})


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    served = request.app[SERVED]
    context = served.engine.context()
    body = await decode(request, ChatRequest)
    # In a thread, because a long conversation takes long to render and to tokenize.
    generation_request = await asyncio.to_thread(_generation_request, body, context, request.app)
    generation = served.engine.submit(generation_request)
    answer = _Answer(f"chatcmpl-{secrets.token_urlsafe(18)}", int(time.time()), served.name)
    async with aborting(generation):
        if body.stream:
            return await _stream(request, generation, answer, body)
        return json_response(await _whole(generation, answer))


def _generation_request(body: ChatRequest, context: Backend, app: web.Application) -> GenerationRequest:
    if not body.messages:
        raise BadRequest("messages: at least one is needed", "messages")
    if body.n not in (None, 1):
        raise BadRequest("n: one answer at a time is supported", "n")
    limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    settings = app[SETTINGS]
    messages = [_message(i, message) for i, message in enumerate(body.messages)]
    return GenerationRequest(
        prompt=app[PROMPTS].builder(context).tokens(messages, body.tools or ()),
        max_tokens=token_limit(limit, settings.max_tokens, "max_tokens"),
        stop=stop_strings(body.stop),
        sampling=resolve_sampling(body, settings.sampling),
    )


def _message(index: int, message: ChatMessage) -> Message:
    field = f"messages[{index}]"
    return Message(
        role=message.role,
        content=_text(f"{field}.content", message.content),
        tool_calls=tuple(_tool_call(field, call) for call in message.tool_calls or ()),
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def _text(field: str, content: str | list[ContentPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type != "text":
            raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field)
    return "\n".join(part.text or "" for part in content)


def _tool_call(field: str, call: CalledTool) -> ToolCall:
    try:
        arguments = msgspec.json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        field = f"{field}.tool_calls.function.arguments"
        raise BadRequest(f"{field}: must be a JSON object in a string: {error}", field) from error
    return ToolCall(call.id, call.function.name, arguments)


class _Answer(msgspec.Struct, frozen=True):
    """What all chunks of one answer have in common."""

    id: str
    created: int
    model: str

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        return {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": _usage(usage),
            "timings": timings(usage),
        }

    def whole(self, text: str, event: FinishedEvent) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": _FINISH_REASONS[event.reason]}
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": _usage(event.usage),
            "timings": timings(event.usage),
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


async def _stream(
    request: web.Request, generation: Generation, answer: _Answer, body: ChatRequest
) -> web.StreamResponse:
    """First the role, then text, then the reason to finish, then the usage if it was asked for."""
    out = EventStream(request)
    wants_usage = body.stream_options is not None and body.stream_options.include_usage
    try:
        async for event in generation:
            if out.response is None:
                await out.send(answer.chunk({"role": "assistant", "content": None}))
            if event.text:
                await out.send(answer.chunk({"content": event.text}))
            if isinstance(event, FinishedEvent):
                last = answer.chunk({}, _FINISH_REASONS[event.reason])
                if not wants_usage:
                    last["timings"] = timings(event.usage)
                await out.send(last)
                if wants_usage:
                    await out.send(answer.usage_chunk(event.usage))
    except LoafError as error:
        if out.response is None:
            raise
        await out.send({"error": error_object(error)})
    await out.done()
    assert out.response is not None
    return out.response


async def _whole(generation: Generation, answer: _Answer) -> dict[str, Any]:
    text: list[str] = []
    async for event in generation:
        text.append(event.text)
        if isinstance(event, FinishedEvent):
            return answer.whole("".join(text), event)
    raise AssertionError("a generation ends with a FinishedEvent")


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": usage.prompt_tokens + usage.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


ROUTES = (
    web.get("/v1/models", models),
    web.get("/models", models),
    web.post("/v1/chat/completions", chat_completions),
    web.post("/chat/completions", chat_completions),
)
