"""Texts into vectors and scores, the part that all dialects share.

Knows the forms that texts come in. How vectors are computed is the engine's to know, how they are written a dialect's.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from aiohttp import web

from runtime.engine.backend import Embedded, Model
from runtime.engine.engine import Engine
from runtime.engine.types import EmbeddingRequest
from runtime.server.errors import BadRequest
from runtime.server.generating import LoraField, adapter_scales
from runtime.server.json import beside_the_loop
from runtime.server.models import HostedModel
from runtime.server.stream import aborting

MAX_TEXTS = 2048
"""Texts in one request: OpenAI's limit."""

Texts = str | list[int | str | list[int | str]]
"""A text, a text's tokens, or a list of either; text and tokens may be mixed, as llama-server takes them."""

TokenLists = tuple[tuple[int, ...], ...]
"""The tokens of each text."""


async def embed_texts(
    request: web.Request, hosted: HostedModel, given: Texts | None, lora: list[LoraField] | None = None
) -> tuple[TokenLists, Embedded]:
    """The tokens of each text, and what was computed of them. Raises `BadRequest`, and what the engine does."""
    engine, model = hosted.engine, hosted.loaded()
    if given is None:
        raise BadRequest("input: is missing", "input")
    texts = await beside_the_loop(request, lambda: _tokens(given, model))
    scales = None if lora is None else adapter_scales(lora, len(engine.scales), "lora")
    return texts, await embed_tokens(engine, texts, scales)


async def embed_tokens(engine: Engine, texts: TokenLists, scales: tuple[float, ...] | None = None) -> Embedded:
    """What is computed of texts that are tokens already. Raises what the engine does."""
    embedding = engine.embed(EmbeddingRequest(texts, scales))
    async with aborting([embedding]):
        return await embedding


def one_vector_each(embedded: Embedded) -> list[array[float]]:
    """Raises `BadRequest` where the server was told not to make one vector of a text's."""
    if embedded.pooling == "none":
        raise BadRequest("this server does not pool the vectors of a text into one: start it without --pooling none")
    return [one[0] for one in embedded.vectors]


def shortened(vector: array[float], dimensions: int | None) -> array[float]:
    """The first `dimensions` of a vector, or all of them, at length 1. Raises `BadRequest`."""
    if dimensions is None:
        return normalized(vector, 2)
    if not 1 <= dimensions <= len(vector):
        raise BadRequest(f"dimensions: this model's vectors have {len(vector)}", "dimensions")
    return normalized(vector[:dimensions], 2)


def normalized(vector: array[float], p: int) -> array[float]:
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


def token_usage(texts: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """OpenAI's and llama-server's `usage` of texts."""
    tokens = sum(map(len, texts))
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _tokens(given: Texts, model: Model) -> TokenLists:
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
