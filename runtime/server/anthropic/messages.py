"""`/v1/messages`: the next message of a conversation."""

from __future__ import annotations

from aiohttp import web

from runtime.chat.job import ChatJob, chat_job
from runtime.engine.types import GenerationRequest
from runtime.server.anthropic.turns import ConversationFields, conversation
from runtime.server.anthropic.writing import MessageWriter
from runtime.server.beside import beside_the_loop
from runtime.server.chatting import answer_chat
from runtime.server.json import decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.models import HostedModel
from runtime.server.refusals import BadRequest
from runtime.server.sampling import SamplingFields, resolve_sampling, stop_strings
from runtime.settings import Settings

_CACHE_MARK = b'"cache_control"'
"""In text, the quotes would be escaped. Where the mark stands changes nothing: all of a prompt is kept."""


class MessagesRequest(ConversationFields, kw_only=True):
    """The body of `/v1/messages`. `metadata`, `service_tier` and caching are Anthropic's business and ignored."""

    max_tokens: int
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


async def messages(request: web.Request) -> web.StreamResponse:
    """Answer a conversation."""
    body = await decode(request, MessagesRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    settings = request.app[SETTINGS]
    given = await request.read()

    def make() -> tuple[ChatJob, bool]:
        return _job(body, hosted, settings), _CACHE_MARK in given

    job, marks_cache = await beside_the_loop(request, make, takes_long=body.takes_long())
    writer = MessageWriter(hosted.name, len(job.request.prompt), tuple(body.stop_sequences or ()), marks_cache)
    return await answer_chat(request, hosted, job, writer, streams=bool(body.stream))


def _job(body: MessagesRequest, hosted: HostedModel, settings: Settings) -> ChatJob:
    if body.max_tokens < 0:
        raise BadRequest("max_tokens: must be 0 or more", "max_tokens")
    chosen = SamplingFields(temperature=body.temperature, top_p=body.top_p, top_k=body.top_k)
    wanted = GenerationRequest(
        prompt=(),
        max_tokens=body.max_tokens,
        stop=stop_strings(body.stop_sequences, "stop_sequences"),
        sampling=resolve_sampling(chosen, settings.sampling, hosted.loaded()),
    )
    return chat_job(hosted, conversation(body), wanted)
