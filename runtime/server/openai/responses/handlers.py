"""The handlers of `/v1/responses`."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from runtime.chat.job import ChatJob, chat_job
from runtime.engine.errors import PromptTooLong
from runtime.server.beside import beside_the_loop
from runtime.server.chatting import answer_chat
from runtime.server.errors import failure_of
from runtime.server.generating import generation_request
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.openai.limits import top_logprobs, with_logprobs
from runtime.server.openai.memory import MEMORY, Kept
from runtime.server.openai.responses.output import ResponseHead
from runtime.server.openai.responses.request import ResponsesRequest, conversation_of
from runtime.server.openai.responses.stored import Keeping, items_of, said_before, written_items
from runtime.server.openai.responses.tools import response_tools
from runtime.server.openai.responses.writer import ResponsesWriter
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.server.stream import streaming
from runtime.settings import Settings

_LOGPROBS = "message.output_text.logprobs"


async def create_response(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    body = await decode(request, ResponsesRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    settings = request.app[SETTINGS]
    memory = request.app[MEMORY]
    earlier = said_before(memory, body.previous_response_id)

    def make() -> tuple[ChatJob, bytes | None]:
        job = _job(body, earlier, hosted, settings)
        return job, written_items(body.input) if body.store is not False else None

    job, items = await beside_the_loop(request, make, takes_long=_takes_long(body) or bool(earlier))
    head = ResponseHead(body, job.request, hosted.name)
    keeping = None if items is None else Keeping(memory, head, items, body.previous_response_id)
    tools = response_tools(body.tools or ())
    writer = ResponsesWriter(head, tools, hosted.loaded(), _top_logprobs(body), keeping.keep if keeping else None)
    begun = keeping.begin if keeping else None
    try:
        return await answer_chat(request, hosted, job, writer, streams=bool(body.stream), begun=begun)
    except PromptTooLong as error:
        if not body.stream:
            raise
        return await _failed_in_stream(request, writer, error)
    finally:
        memory.settle(head.id)


async def count_response_tokens(request: web.Request) -> web.Response:
    """How many tokens the prompt of a conversation has."""
    body = await decode(request, ResponsesRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    earlier = said_before(request.app[MEMORY], body.previous_response_id)
    takes_long = _takes_long(body) or bool(earlier)
    prepared = await beside_the_loop(
        request, lambda: hosted.prepare(conversation_of(body, items_of(earlier))), takes_long=takes_long
    )
    return json_response({"object": "response.input_tokens", "input_tokens": len(prepared.tokens)})


def _job(body: ResponsesRequest, earlier: Sequence[Kept], hosted: HostedModel, settings: Settings) -> ChatJob:
    sampling = with_logprobs(resolve_sampling(body, settings.sampling, hosted.loaded()), _top_logprobs(body))
    max_tokens = token_limit(body.max_output_tokens, settings.max_tokens, "max_output_tokens")
    wanted = generation_request(body, (), max_tokens, sampling, hosted.engine)
    return chat_job(hosted, conversation_of(body, items_of(earlier)), wanted)


async def _failed_in_stream(request: web.Request, writer: ResponsesWriter, error: PromptTooLong) -> web.StreamResponse:
    """As OpenAI's server says it: Codex shortens the conversation at this event, and ends it at a status of 400."""
    async with streaming(request, writer.framing) as out:
        await out.send_all([*writer.opening(0), *writer.failed(failure_of(error))])
    return out.response


def _takes_long(body: ResponsesRequest) -> bool:
    """Whether a grammar is made for the answer, which takes longer than the body's size tells."""
    return bool(body.json_schema is not None or (body.text and body.text.format) or body.tools)


def _top_logprobs(body: ResponsesRequest) -> int | None:
    """How many tokens are wanted beside each; None if no probabilities are. Raises `BadRequest`."""
    top = top_logprobs(body.top_logprobs, "top_logprobs")
    return top if top or _LOGPROBS in (body.include or ()) else None
