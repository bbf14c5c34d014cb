"""llama.cpp's native dialect: `/completion` and `/health`, with llama-server's field names.

A stream holds `data: {…}` events only: no `[DONE]`, no pings, no event names, because its clients take every line
for text.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.backend import Backend
from runtime.engine.generation import Generation
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest, TokenEvent
from runtime.errors import LoafError
from runtime.server.errors import BadRequest, error_object
from runtime.server.json import decode, json_response
from runtime.server.keys import SERVED, SETTINGS
from runtime.server.sampling import SamplingFields, resolve_sampling, stop_strings, token_limit
from runtime.server.stream import EventStream, aborting
from runtime.server.timings import timings

_STOP_TYPES = {
    FinishReason.END_OF_TEXT: "eos",
    FinishReason.STOP_STRING: "word",
    FinishReason.MAX_TOKENS: "limit",
    FinishReason.CONTEXT_FULL: "limit",
    FinishReason.ABORTED: "none",
}


class CompletionRequest(SamplingFields):
    """The body of `/completion`. A prompt is text, token ids, or both in turn."""

    prompt: str | list[int | str] = ""
    n_predict: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    cache_prompt: bool | None = None
    return_tokens: bool | None = None


async def health(request: web.Request) -> web.Response:
    """200 once requests can be taken, 503 while the model loads."""
    request.app[SERVED].engine.context()
    return json_response({"status": "ok"})


async def completion(request: web.Request) -> web.StreamResponse:
    """Continue a text."""
    context = request.app[SERVED].engine.context()
    body = await decode(request, CompletionRequest)
    # In a thread, because a long prompt takes long to tokenize.
    generation_request = await asyncio.to_thread(_generation_request, body, context, request.app)
    generation = request.app[SERVED].engine.submit(generation_request)
    async with aborting(generation):
        if body.stream:
            return await _stream(request, generation, body)
        return json_response(await _whole(request, generation, body))


def _generation_request(body: CompletionRequest, context: Backend, app: web.Application) -> GenerationRequest:
    settings = app[SETTINGS]
    limit = body.n_predict if body.n_predict is not None else body.max_tokens
    return GenerationRequest(
        prompt=_prompt_tokens(body.prompt, context),
        max_tokens=token_limit(limit, settings.max_tokens, "n_predict"),
        stop=stop_strings(body.stop),
        sampling=resolve_sampling(body, settings.sampling),
        reuse_prefix=body.cache_prompt is not False,
    )


def _prompt_tokens(prompt: str | list[int | str], context: Backend) -> tuple[int, ...]:
    """As in llama-server: only text at the very beginning is given the model's BOS."""
    model = context.model
    parts = [prompt] if isinstance(prompt, str) else prompt
    tokens: list[int] = []
    for i, part in enumerate(parts):
        if isinstance(part, str):
            tokens += model.tokenize(part, add_special=i == 0, parse_special=True)
        elif 0 <= part < model.facts.vocabulary_size:
            tokens.append(part)
        else:
            raise BadRequest(f"prompt: there is no token {part}", "prompt")
    return tuple(tokens)


async def _stream(request: web.Request, generation: Generation, body: CompletionRequest) -> web.StreamResponse:
    out = EventStream(request)
    try:
        async for event in generation:
            await out.send(_event(request, body, event))
    except LoafError as error:
        if out.response is None:
            raise
        await out.send({"error": error_object(error)})
    assert out.response is not None
    return out.response


def _event(request: web.Request, body: CompletionRequest, event: TokenEvent | FinishedEvent) -> dict[str, Any]:
    if isinstance(event, FinishedEvent):
        return _final(request, body, event, event.text, ())
    return {"index": 0, "content": event.text, "tokens": event.tokens, "stop": False, "id_slot": 0}


async def _whole(request: web.Request, generation: Generation, body: CompletionRequest) -> dict[str, Any]:
    text: list[str] = []
    tokens: list[int] = []
    async for event in generation:
        text.append(event.text)
        if isinstance(event, TokenEvent):
            tokens += event.tokens
        else:
            return _final(request, body, event, "".join(text), tokens if body.return_tokens else ())
    raise AssertionError("a generation ends with a FinishedEvent")


def _final(
    request: web.Request, body: CompletionRequest, event: FinishedEvent, text: str, tokens: Any
) -> dict[str, Any]:
    usage = event.usage
    return {
        "index": 0,
        "content": text,
        "tokens": list(tokens),
        "id_slot": 0,
        "stop": True,
        "model": request.app[SERVED].name,
        "tokens_predicted": usage.generated_tokens,
        "tokens_evaluated": usage.prompt_tokens,
        "tokens_cached": usage.prompt_tokens + usage.generated_tokens,
        "generation_settings": _settings(request, body),
        "prompt": body.prompt,
        "truncated": event.reason is FinishReason.CONTEXT_FULL,
        "stop_type": _STOP_TYPES[event.reason],
        "stopping_word": event.stop_string,
        "timings": timings(usage),
    }


def _settings(request: web.Request, body: CompletionRequest) -> dict[str, Any]:
    sampling = resolve_sampling(body, request.app[SETTINGS].sampling)
    return {
        **msgspec.structs.asdict(sampling),
        "n_predict": -1 if body.n_predict is None else body.n_predict,
        "stop": stop_strings(body.stop),
        "stream": bool(body.stream),
    }


ROUTES = (
    web.get("/health", health),
    web.get("/v1/health", health),
    web.post("/completion", completion),
    web.post("/completions", completion),
)
