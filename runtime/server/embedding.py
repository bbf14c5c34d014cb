"""Texts into vectors and scores: OpenAI's `/v1/embeddings`, llama-server's `/embedding` and `/rerank`.

Knows the forms that texts come in and vectors go out in. How they are computed is the engine's to know.
"""

from __future__ import annotations

import base64
import math
from array import array
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.backend import Embedded, Model
from runtime.engine.engine import Engine
from runtime.engine.types import EmbeddingRequest
from runtime.server.errors import BadRequest, CannotRerank
from runtime.server.generating import LoraField, adapter_scales
from runtime.server.json import beside_the_loop, decode, json_response
from runtime.server.keys import SERVED
from runtime.server.stream import aborting

MAX_TEXTS = 2048
"""Texts in one request: OpenAI's limit."""

Texts = str | list[int | str | list[int | str]]
"""A text, a text's tokens, or a list of either; text and tokens may be mixed, as llama-server takes them."""


class EmbeddingBody(msgspec.Struct):
    """The body of `/embedding` (`content`) and `/v1/embeddings` (`input`)."""

    input: Texts | None = None
    content: Texts | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    embd_normalize: int | None = None
    lora: list[LoraField] | None = None


class RerankBody(msgspec.Struct):
    """The body of `/rerank`. `texts` is Text Embeddings Inference's name for `documents`."""

    query: str
    documents: list[str] | None = None
    texts: list[str] | None = None
    top_n: int | None = None
    return_text: bool | None = None


async def native_embeddings(request: web.Request) -> web.Response:
    """llama-server's own form: for each text its vectors, one unless they are not pooled."""
    body = await decode(request, EmbeddingBody)
    _texts, embedded = await _embed(request, body)
    pooled = embedded.pooling != "none"
    p = 2 if body.embd_normalize is None else body.embd_normalize
    return json_response(
        [
            {"index": i, "embedding": [(_normalized(vector, p) if pooled else vector).tolist() for vector in one]}
            for i, one in enumerate(embedded.vectors)
        ]
    )


async def openai_embeddings(request: web.Request) -> web.Response:
    """OpenAI's form: one vector of length 1 for each text."""
    body = await decode(request, EmbeddingBody)
    if body.encoding_format not in (None, "float", "base64"):
        raise BadRequest("encoding_format: must be float or base64", "encoding_format")
    texts, embedded = await _embed(request, body)
    if embedded.pooling == "none":
        raise BadRequest("this server does not pool the vectors of a text into one: start it without --pooling none")
    return json_response(
        {
            "object": "list",
            "model": request.app[SERVED].name,
            "data": [
                {"object": "embedding", "index": i, "embedding": _encoded(_shortened(one[0], body), body)}
                for i, one in enumerate(embedded.vectors)
            ],
            "usage": _usage(texts),
        }
    )


async def rerank(request: web.Request) -> web.Response:
    """Documents by how well they answer a query, best first."""
    engine = request.app[SERVED].engine
    model = engine.backend().model
    body = await decode(request, RerankBody)
    documents = body.documents if body.documents is not None else body.texts
    if not documents or len(documents) > MAX_TEXTS:
        raise BadRequest(f"documents: 1 to {MAX_TEXTS:,} texts are needed", "documents")
    prompts = await beside_the_loop(request, lambda: tuple(model.rerank_prompt(body.query, text) for text in documents))
    embedded = await _computed(engine, EmbeddingRequest(prompts))
    if embedded.pooling != "rank":
        raise CannotRerank
    scores = sorted(enumerate(one[0][0] for one in embedded.vectors), key=lambda pair: -pair[1])
    scores = scores[: max(body.top_n, 0) if body.top_n is not None else len(scores)]
    if body.documents is None:  # Text Embeddings Inference's form
        return json_response(
            [
                {"index": i, "score": score, **({"text": documents[i]} if body.return_text else {})}
                for i, score in scores
            ]
        )
    return json_response(
        {
            "model": request.app[SERVED].name,
            "object": "list",
            "usage": _usage(prompts),
            "results": [{"index": i, "relevance_score": score} for i, score in scores],
        }
    )


async def _embed(request: web.Request, body: EmbeddingBody) -> tuple[tuple[tuple[int, ...], ...], Embedded]:
    """The tokens of each text, and what was computed of them."""
    engine = request.app[SERVED].engine
    model = engine.backend().model
    given = body.input if body.input is not None else body.content
    if given is None:
        raise BadRequest("input: is missing", "input")
    texts = await beside_the_loop(request, lambda: _tokens(given, model))
    scales = None if body.lora is None else adapter_scales(body.lora, len(engine.scales), "lora")
    return texts, await _computed(engine, EmbeddingRequest(texts, scales))


async def _computed(engine: Engine, wanted: EmbeddingRequest) -> Embedded:
    embedding = engine.embed(wanted)
    async with aborting([embedding]):
        return await embedding


def _tokens(given: Texts, model: Model) -> tuple[tuple[int, ...], ...]:
    """The tokens of each text. Raises `BadRequest`."""
    if isinstance(given, str):
        return (model.tokenize(given, add_special=True, parse_special=True),)
    if not given or len(given) > MAX_TEXTS:
        raise BadRequest(f"input: 1 to {MAX_TEXTS:,} texts are needed", "input")
    if all(isinstance(part, int) for part in given):
        return (_one_text([part for part in given if isinstance(part, int)], model),)
    return tuple(_one_text(part, model) for part in given)


def _one_text(given: int | str | list[int | str] | list[int], model: Model) -> tuple[int, ...]:
    if isinstance(given, str):
        return model.tokenize(given, add_special=True, parse_special=True)
    tokens: list[int] = []
    for i, part in enumerate([given] if isinstance(given, int) else given):
        if isinstance(part, str):
            tokens += model.tokenize(part, add_special=i == 0, parse_special=True)
        elif 0 <= part < model.facts.vocabulary_size:
            tokens.append(part)
        else:
            raise BadRequest(f"input: there is no token {part}", "input")
    return tuple(tokens)


def _shortened(vector: array[float], body: EmbeddingBody) -> array[float]:
    """The first `dimensions` of a vector, or all of them, at length 1."""
    if body.dimensions is None:
        return _normalized(vector, 2)
    if not 1 <= body.dimensions <= len(vector):
        raise BadRequest(f"dimensions: this model's vectors have {len(vector)}", "dimensions")
    return _normalized(vector[: body.dimensions], 2)


def _normalized(vector: array[float], p: int) -> array[float]:
    """As llama.cpp's `common_embd_normalize`: -1 not at all, 0 to 32,760 at most, otherwise to a p-norm of 1."""
    if p < 0:
        return vector
    if p == 0:
        norm = max(map(abs, vector), default=0.0) / 32760
    elif p == 2:
        norm = math.hypot(*vector)
    else:
        norm = math.fsum(abs(value) ** p for value in vector) ** (1 / p)
    return array("f", [value / norm for value in vector]) if norm > 0 else vector


def _encoded(vector: array[float], body: EmbeddingBody) -> Any:
    """Numbers, or the little-endian 32-bit floats in Base64."""
    if body.encoding_format == "base64":
        return base64.b64encode(vector.tobytes()).decode("ascii")
    return vector.tolist()


def _usage(texts: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    tokens = sum(map(len, texts))
    return {"prompt_tokens": tokens, "total_tokens": tokens}


ROUTES = (
    web.post("/embedding", native_embeddings),
    web.post("/embeddings", native_embeddings),
    web.post("/v1/embeddings", openai_embeddings),
    web.post("/rerank", rerank),
    web.post("/reranking", rerank),
    web.post("/v1/rerank", rerank),
    web.post("/v1/reranking", rerank),
)
