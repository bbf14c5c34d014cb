"""OpenAI's dialect: `/v1/models` and `/v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.messages import Message, ToolCall
from runtime.engine.backend import Model
from runtime.engine.types import (
    FinishedEvent,
    FinishReason,
    GenerationRequest,
    Probabilities,
    Sampling,
    TokenEvent,
    Usage,
)
from runtime.server.errors import BadRequest
from runtime.server.generating import Answer, GenerationFields, answer, generation_request
from runtime.server.json import beside_the_loop, decode, json_response
from runtime.server.keys import PROMPTS, SERVED, SETTINGS, STARTED
from runtime.server.probabilities import token_probabilities
from runtime.server.sampling import resolve_sampling, schema_grammar, token_limit
from runtime.server.timings import timings

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


class SchemaFormat(msgspec.Struct):
    """A schema under a name, as OpenAI's clients send it."""

    schema: Any = None


class ResponseFormat(msgspec.Struct):
    """What an answer must look like. llama-server takes a schema beside `json_object` too."""

    type: str
    json_schema: SchemaFormat | None = None
    schema: Any = None


class ChatRequest(GenerationFields):
    """The body of `/v1/chat/completions`."""

    messages: list[ChatMessage] = msgspec.field(default_factory=list)
    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


async def models(request: web.Request) -> web.Response:
    """The models that can be asked."""
    served = request.app[SERVED]
    facts = served.engine.backend().model.facts
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
    served.engine.generator()
    model = served.engine.backend().model
    body = await decode(request, ChatRequest)
    has_schema = body.json_schema is not None or body.response_format is not None
    wanted = await beside_the_loop(
        request, lambda: _generation_request(body, model, request.app), takes_long=has_schema
    )
    dialect = _Chat(model, served.name, body)
    return await answer(request, served.engine, wanted, body, dialect)


def _generation_request(body: ChatRequest, model: Model, app: web.Application) -> GenerationRequest:
    if not body.messages:
        raise BadRequest("messages: at least one is needed", "messages")
    limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    settings = app[SETTINGS]
    messages = [_message(i, message) for i, message in enumerate(body.messages)]
    prompt = app[PROMPTS].builder(model).tokens(messages, body.tools or ())
    max_tokens = token_limit(limit, settings.max_tokens, "max_tokens")
    return generation_request(body, prompt, max_tokens, _sampling(body, settings.sampling, model), app[SERVED].engine)


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
    if body.response_format is None:
        return sampling
    grammar = _format_grammar(body.response_format, has_grammar=bool(sampling.grammar))
    return msgspec.structs.replace(sampling, grammar=grammar or sampling.grammar)


def _format_grammar(wanted: ResponseFormat, *, has_grammar: bool) -> str:
    """The grammar that a format stands for, "" for text."""
    field = "response_format"
    if wanted.type == "text":
        return ""
    if wanted.type == "json_schema":
        if wanted.json_schema is None or wanted.json_schema.schema is None:
            raise BadRequest(f"{field}.json_schema.schema: is missing", f"{field}.json_schema.schema")
        return schema_grammar(wanted.json_schema.schema, field, has_grammar)
    if wanted.type == "json_object":
        return schema_grammar(wanted.schema or {"type": "object"}, field, has_grammar)
    raise BadRequest(f"{field}.type: must be text, json_object or json_schema, not {wanted.type!r}", f"{field}.type")


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


class _Chat:
    """How `/v1/chat/completions` answers: the role, text, the reason to finish, and the usage if it was asked for."""

    ends_with_done = True

    def __init__(self, model: Model, name: str, body: ChatRequest) -> None:
        self._model = model
        self._name = name
        self._id = f"chatcmpl-{secrets.token_urlsafe(18)}"
        self._created = int(time.time())
        self._wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        self._wants_logprobs = bool(body.logprobs)
        self._top_logprobs = body.top_logprobs or 0

    def opening(self, index: int) -> Iterable[Any]:
        return (self._chunk(index, {"role": "assistant", "content": None}),)

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        if not event.text and not event.probabilities:
            return ()
        return (self._chunk(index, {"content": event.text}, probabilities=event.probabilities),)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        if event.text:
            yield self._chunk(index, {"content": event.text})
        final = self._chunk(index, {}, _FINISH_REASONS[event.reason])
        if not self._wants_usage:
            final["timings"] = timings(event.usage)
        yield final

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:
        if not self._wants_usage:
            return ()
        chunk = {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": _usage([event.usage for event in finished]),
            "timings": timings(finished[0].usage),
        }
        return (chunk,)

    def whole(self, answers: Sequence[Answer]) -> Any:
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.text},
                "finish_reason": _FINISH_REASONS[one.finished.reason],
                **self._logprobs(one.probabilities),
            }
            for index, one in enumerate(answers)
        ]
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": _usage([one.finished.usage for one in answers]),
            "timings": timings(answers[0].finished.usage),
        }

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        finish_reason: str | None = None,
        probabilities: tuple[Probabilities, ...] = (),
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason, **self._logprobs(probabilities)}
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


def _usage(usages: Sequence[Usage]) -> dict[str, Any]:
    """Of all answers together; the prompt, which they share, counts once."""
    completion_tokens = sum(usage.generated_tokens for usage in usages)
    return {
        "prompt_tokens": usages[0].prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": usages[0].prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usages[0].cached_tokens},
    }


ROUTES = (
    web.get("/v1/models", models),
    web.get("/models", models),
    web.post("/v1/chat/completions", chat_completions),
    web.post("/chat/completions", chat_completions),
)
