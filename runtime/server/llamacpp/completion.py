"""`/completion`, with llama-server's field names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from runtime.engine.errors import PromptTooLong
from runtime.engine.pieces import Prompt
from runtime.engine.types import GenerationRequest
from runtime.server.beside import beside_the_loop
from runtime.server.generating import MAX_ANSWERS, GenerationFields, answer_all, generation_request, repeated
from runtime.server.json import decode
from runtime.server.keys import MODELS, SETTINGS
from runtime.server.llamacpp.writing import CompletionWriter, Details
from runtime.server.models import HostedModel
from runtime.server.prompts import Prompts, prompts_of, token_text
from runtime.server.refusals import BadRequest
from runtime.server.sampling import resolve_sampling, token_limit
from runtime.settings import Settings

_MOST_INDENTED = 1024
"""Spaces that `n_indent` may ask for, and more."""

_MAX_FIELDS = 256
_MAX_FIELD_CHARACTERS = 16 * 1024
"""Of all `response_fields` together."""


class CompletionFields(GenerationFields):
    """What `/completion` and `/infill` take besides the prompt. Of several names for one thing, the first counts."""

    model: str | None = None
    n_predict: int | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n_cmpl: int | None = None
    n_indent: int | None = None
    logprobs: int | bool | None = None
    return_tokens: bool | None = None
    return_progress: bool | None = None
    timings_per_token: bool | None = None
    response_fields: list[str] | None = None


class CompletionRequest(CompletionFields, kw_only=True):
    """The body of `/completion`."""

    prompt: Prompts


class Asked(msgspec.Struct, frozen=True):
    """What the engine is asked for, and the text of each prompt."""

    requests: list[GenerationRequest]
    prompts: list[str]


async def completion(request: web.Request) -> web.StreamResponse:
    """Continue texts."""
    body = await decode(request, CompletionRequest)
    hosted = request.app[MODELS].find_generator(body.model)
    model, settings = hosted.loaded(), request.app[SETTINGS]

    def make() -> Asked:
        projector = hosted.engine.backend().projector
        prompts = prompts_of(body.prompt, model, projector, settings.chat.media, "prompt", at_most=MAX_ANSWERS)
        return asked_for(body, prompts, hosted, settings)

    asked = await beside_the_loop(request, make, takes_long=body.json_schema is not None)
    return await answer_asked(request, body, hosted, asked)


def asked_for(body: CompletionFields, prompts: Sequence[Prompt], hosted: HostedModel, settings: Settings) -> Asked:
    """So many answers to the first of `prompts`, so many to the second. Raises `BadRequest`, `PromptTooLong`."""
    model = hosted.loaded()
    max_tokens = token_limit(_max_tokens(body), settings.max_tokens, "n_predict")
    if body.n_probs is None and body.logprobs is not None:
        body.n_probs = int(body.logprobs)
    sampling = resolve_sampling(body, settings.sampling, model)
    n = body.n if body.n_cmpl is None else body.n_cmpl
    requests: list[GenerationRequest] = []
    texts: list[str] = []
    n_ctx = hosted.engine.generator().n_ctx
    for prompt in prompts:
        tokens = prompt.tokens
        if len(tokens) >= n_ctx:  # the engine would say so too, but millions of tokens are not to be made text before
            raise PromptTooLong(len(tokens), n_ctx)
        wanted = generation_request(body, tokens, max_tokens, sampling, hosted.engine)
        wanted = msgspec.structs.replace(
            wanted, n_indent=_indent(body), reports_progress=_reports_progress(body), pieces=prompt.pieces
        )
        again = repeated(wanted, n)
        requests += again
        texts += [token_text(tokens, model)] * len(again)
    return Asked(requests, texts)


async def answer_asked(
    request: web.Request, body: CompletionFields, hosted: HostedModel, asked: Asked
) -> web.StreamResponse:
    """Generate, and answer in the form that `/completion` and `/infill` have in common."""
    details = Details(
        streams=bool(body.stream),
        tokens=bool(body.return_tokens),
        timings_per_token=bool(body.timings_per_token),
        prompt_progress=bool(body.return_progress),
        fields=_response_fields(body),
    )
    writer = CompletionWriter(hosted, asked.requests, asked.prompts, details)
    return await answer_all(request, hosted.engine, asked.requests, writer, streams=details.streams)


def _max_tokens(body: CompletionFields) -> int | None:
    given = (body.n_predict, body.max_completion_tokens, body.max_tokens)
    return next((value for value in given if value is not None), None)


def _indent(body: CompletionFields) -> int:
    indent = body.n_indent or 0
    if not 0 <= indent <= _MOST_INDENTED:
        raise BadRequest(f"n_indent: must be from 0 to {_MOST_INDENTED:,}", "n_indent")
    return indent


def _reports_progress(body: CompletionFields) -> bool:
    return bool(body.stream and (body.return_progress or body.timings_per_token))


def _response_fields(body: CompletionFields) -> tuple[str, ...] | None:
    paths = tuple(body.response_fields or ())
    if len(paths) > _MAX_FIELDS or sum(map(len, paths)) > _MAX_FIELD_CHARACTERS:
        limit = f"{_MAX_FIELDS} paths of {_MAX_FIELD_CHARACTERS:,} characters in all"
        raise BadRequest(f"response_fields: at most {limit}", "response_fields")
    return paths or None
