"""The handlers of `/v1/responses`."""

from __future__ import annotations

from aiohttp import web

from runtime.chat.job import ChatJob, chat_job
from runtime.server.chatting import answer_chat
from runtime.server.generating import generation_request
from runtime.server.json import beside_the_loop, decode, json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.openai.limits import answer_limit, top_logprobs, with_logprobs
from runtime.server.openai.responses.output import ResponseHead
from runtime.server.openai.responses.request import ResponsesRequest, conversation_of
from runtime.server.openai.responses.tools import response_tools
from runtime.server.openai.responses.writer import ResponsesWriter
from runtime.server.sampling import resolve_sampling
from runtime.settings import Settings

_LOGPROBS = "message.output_text.logprobs"


async def create_response(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    body = await decode(request, ResponsesRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    settings = request.app[SETTINGS]
    job = await beside_the_loop(request, lambda: _job(body, hosted, settings), takes_long=_takes_long(body))
    head = ResponseHead(body, job.request, hosted.name)
    tools = response_tools(body.tools or ())
    writer = ResponsesWriter(head, tools, hosted.loaded(), _top_logprobs(body))
    return await answer_chat(request, hosted, job, writer, streams=bool(body.stream))


async def count_response_tokens(request: web.Request) -> web.Response:
    """How many tokens the prompt of a conversation has."""
    body = await decode(request, ResponsesRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    prepared = await beside_the_loop(
        request, lambda: hosted.prepare(conversation_of(body)), takes_long=_takes_long(body)
    )
    return json_response({"object": "response.input_tokens", "input_tokens": len(prepared.tokens)})


def _job(body: ResponsesRequest, hosted: HostedModel, settings: Settings) -> ChatJob:
    sampling = with_logprobs(resolve_sampling(body, settings.sampling, hosted.loaded()), _top_logprobs(body))
    max_tokens = answer_limit(body.max_output_tokens, settings.max_tokens, "max_output_tokens")
    wanted = generation_request(body, (), max_tokens, sampling, hosted.engine)
    return chat_job(hosted, conversation_of(body), wanted)


def _takes_long(body: ResponsesRequest) -> bool:
    """Whether a grammar is made for the answer, which takes longer than the body's size tells."""
    return bool(body.json_schema is not None or (body.text and body.text.format) or body.tools)


def _top_logprobs(body: ResponsesRequest) -> int | None:
    """How many tokens are wanted beside each; None if no probabilities are. Raises `BadRequest`."""
    top = top_logprobs(body.top_logprobs, "top_logprobs")
    return top if top or _LOGPROBS in (body.include or ()) else None
