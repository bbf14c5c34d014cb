"""`/v1/chat/completions`: the request. `chat_writer.py` writes the answer."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from runtime.chat.job import ChatJob, chat_job
from runtime.server.beside import beside_the_loop
from runtime.server.chat_messages import ChatFields, conversation
from runtime.server.chatting import answer_chat
from runtime.server.generating import generation_request, repeated
from runtime.server.json import decode, encode, json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.openai.chat_writer import ChatShape, ChatWriter
from runtime.server.openai.limits import StreamOptions, top_logprobs, with_logprobs
from runtime.server.openai.memory import MEMORY, Kept
from runtime.server.openai.verbose import is_verbose, verbosely
from runtime.server.refusals import BadRequest
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.settings import Settings


class ChatRequest(ChatFields):
    """The body of `/v1/chat/completions`. Of two limits of its length the first one given counts, in this order.

    With `store` the answer is kept for a while, with its `metadata`.
    """

    model: str | None = None
    n_predict: int | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    return_progress: bool | None = None
    verbose: bool | None = None
    modalities: list[str] | None = None
    audio: Any = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    body = await decode(request, ChatRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    settings = request.app[SETTINGS]
    job = await beside_the_loop(request, lambda: _job(body, hosted, settings), takes_long=_takes_long(body))
    memory = request.app[MEMORY]

    def keep(id_: str, completion: dict[str, Any]) -> None:
        memory.keep(id_, Kept(encode({**completion, "metadata": body.metadata or {}})))

    writer = ChatWriter(hosted.loaded(), hosted.name, _shape(body), keep if body.store else None)
    streams = bool(body.stream)
    more = None
    if is_verbose(body.verbose, settings):
        wanted = repeated(job.request, body.n)
        more = await beside_the_loop(request, lambda: verbosely(hosted, wanted, streams=streams, in_parts=False))
    return await answer_chat(
        request, hosted, job, writer, streams=streams, n=body.n, progressing=writer.progress, telling_more=more
    )


async def chat_completion(request: web.Request) -> web.Response:
    """Look up an answer that was asked for with `store`."""
    kept = request.app[MEMORY].find(request.match_info["id"])
    return web.Response(body=kept.answer, content_type="application/json", charset="utf-8")


async def forget_chat_completion(request: web.Request) -> web.Response:
    """Forget such an answer."""
    id_ = request.match_info["id"]
    request.app[MEMORY].forget(id_)
    return json_response({"id": id_, "object": "chat.completion.deleted", "deleted": True})


async def count_chat_tokens(request: web.Request) -> web.Response:
    """How many tokens the prompt of a conversation has."""
    body = await decode(request, ChatRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    prepared = await beside_the_loop(request, lambda: hosted.prepare(conversation(body)), takes_long=_takes_long(body))
    return json_response({"object": "response.input_tokens", "input_tokens": len(prepared.tokens)})


def _job(body: ChatRequest, hosted: HostedModel, settings: Settings) -> ChatJob:
    _must_be_text(body)
    sampling = with_logprobs(resolve_sampling(body, settings.sampling, hosted.loaded()), _top_logprobs(body))
    max_tokens = _max_tokens(body, settings.max_tokens)
    wanted = generation_request(body, (), max_tokens, sampling, hosted.engine)
    wanted = msgspec.structs.replace(wanted, reports_progress=bool(body.stream and body.return_progress))
    return chat_job(hosted, conversation(body), wanted)


def _takes_long(body: ChatRequest) -> bool:
    """Whether a grammar is made for the answer, which takes longer than the body's size tells."""
    return bool(body.json_schema is not None or body.response_format or body.tools or body.functions)


def _shape(body: ChatRequest) -> ChatShape:
    return ChatShape(
        shows_usage=body.stream_options is not None and bool(body.stream_options.include_usage),
        top_logprobs=_top_logprobs(body),
        calls_functions=body.functions is not None,
    )


def _must_be_text(body: ChatRequest) -> None:
    if body.audio is not None or set(body.modalities or ()) - {"text"}:
        raise BadRequest("modalities: must be text, which is all that this model answers in", "modalities")


def _max_tokens(body: ChatRequest, default: int | None) -> int | None:
    for field in ("n_predict", "max_completion_tokens"):
        if getattr(body, field) is not None:
            return token_limit(getattr(body, field), default, field)
    return token_limit(body.max_tokens, default, "max_tokens")


def _top_logprobs(body: ChatRequest) -> int | None:
    """How many tokens are wanted beside each; None if no probabilities are. Raises `BadRequest`."""
    if body.logprobs:
        return top_logprobs(body.top_logprobs, "top_logprobs")
    if body.top_logprobs:
        raise BadRequest("top_logprobs: needs logprobs to be true", "top_logprobs")
    return None
