"""`/api/embed`, and the older `/api/embeddings`, which takes one text."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.backend import Embedded, Model
from runtime.server.beside import beside_the_loop
from runtime.server.json import json_response
from runtime.server.keys import MODELS
from runtime.server.models import HostedModel
from runtime.server.ollama.answers import nanoseconds
from runtime.server.ollama.fields import full_name, keep, read_body
from runtime.server.ollama.options import Options
from runtime.server.prompts import TokenLists, check_amount
from runtime.server.refusals import BadRequest
from runtime.server.vectors import embed_tokens, embeddable, one_vector_each, shortened

_MAX_TEXTS = 16_384
"""LangChain sends all of its texts in one request. A vector of a thousand numbers takes 20 kB in JSON."""

_MOST_KEPT = 256 * 1024
"""Characters of a text that is to be cut to what a model can read: more than any can, in few enough bytes for each."""

_AT_ONCE = 256
"""Vectors that are written down before others get their turn: a few milliseconds."""


class EmbedRequest(msgspec.Struct):
    """The body of `/api/embed`. Null counts as absent; `options` change nothing, but must be of their types."""

    model: str | None = None
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options | None = None
    keep_alive: int | float | str | None = None


class EmbeddingsRequest(msgspec.Struct):
    """The body of `/api/embeddings`."""

    model: str | None = None
    prompt: str | None = None
    options: Options | None = None
    keep_alive: int | float | str | None = None


async def embed(request: web.Request) -> web.Response:
    """A vector of length 1 for each text."""
    began = time.monotonic()
    body = await read_body(request, EmbedRequest)
    hosted = request.app[MODELS].find_embedder(body.model)
    keep(hosted, body.keep_alive)
    given = [body.input] if isinstance(body.input, str) else body.input or []
    if len(given) > _MAX_TEXTS:
        raise BadRequest(f"input: at most {_MAX_TEXTS:,} texts at once", "input")
    check_amount(map(len, given), "input")
    vectors: list[Any] = []
    counts = 0
    if given and body.input != "":
        texts, embedded = await _embedded(request, hosted, given, truncate=body.truncate is not False)
        vectors = await _written(one_vector_each(embedded), body.dimensions)
        counts = sum(map(len, texts))
    return json_response(
        {
            "model": body.model or full_name(hosted.name),
            "embeddings": vectors,
            "total_duration": nanoseconds(time.monotonic() - began),
            "load_duration": 0,
            "prompt_eval_count": counts,
        }
    )


async def embeddings(request: web.Request) -> web.Response:
    """The vector of one text, as the model makes it."""
    body = await read_body(request, EmbeddingsRequest)
    hosted = request.app[MODELS].find_embedder(body.model)
    keep(hosted, body.keep_alive)
    hosted.load()
    if not body.prompt:
        return json_response({"embedding": []})
    _texts, embedded = await _embedded(request, hosted, [body.prompt], truncate=True)
    return json_response({"embedding": one_vector_each(embedded)[0].tolist()})


async def _embedded(
    request: web.Request, hosted: HostedModel, given: Sequence[str], *, truncate: bool
) -> tuple[TokenLists, Embedded]:
    """The tokens of each text, and its vectors. With `truncate`, too long ones lose their end. Raises `BadRequest`."""
    engine, model = hosted.engine, hosted.loaded()
    limit = engine.backend().longest_text

    def make(text: str) -> tuple[int, ...]:
        kept = text[:_MOST_KEPT] if truncate else text
        tokens = embeddable(model.tokenize(kept, add_special=True, parse_special=True), model)
        if len(tokens) > limit and not truncate:
            raise BadRequest(
                "the input length exceeds the context length", "input", "Shorten it, or leave truncate out."
            )
        return _cut(tokens, limit, model)

    texts = await beside_the_loop(request, lambda: tuple(make(text) for text in given))
    return texts, await embed_tokens(request, engine, texts)


def _cut(text: tuple[int, ...], limit: int, model: Model) -> tuple[int, ...]:
    """The first tokens of a text, and behind them those that the model ends every text with."""
    if len(text) <= limit:
        return text
    around = model.tokenize("", add_special=True, parse_special=False)
    end = around[1:] if model.facts.adds_bos else around
    return (*text[: limit - len(end)], *end)


async def _written(vectors: Sequence[array[float]], dimensions: int | None) -> list[Any]:
    """Each as JSON, with its first `dimensions` only where it has more."""
    written = []
    for i, vector in enumerate(vectors):
        wanted = dimensions if dimensions is not None and 0 < dimensions < len(vector) else None
        written.append(msgspec.Raw(msgspec.json.encode(shortened(vector, wanted).tolist())))
        if i % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
    return written
