"""Texts, with pictures and sounds where a dialect has them, into vectors and scores: the part that all dialects share.

How vectors are computed is the engine's to know, how they are written a dialect's.
"""

from __future__ import annotations

import math
from array import array

from aiohttp import web

from runtime.engine.backend import Embedded, Model
from runtime.engine.engine import Engine
from runtime.engine.errors import TextTooLong
from runtime.engine.pieces import Prompt
from runtime.engine.types import EmbeddingRequest
from runtime.server.access import origin_of
from runtime.server.beside import beside_the_loop
from runtime.server.chat_messages import ChatFields, conversation
from runtime.server.generating import LoraField, adapter_scales
from runtime.server.models import HostedModel
from runtime.server.prompts import Prompts, TokenLists, prompts_of
from runtime.server.refusals import BadRequest
from runtime.server.stream import aborting

MAX_TEXTS = 2048
"""Texts in one request: OpenAI's limit."""

_LARGEST_P = 2**31 - 1
"""llama.cpp's largest `int`; beyond a few hundred, a p-norm is the largest value."""


async def embed_texts(
    request: web.Request, hosted: HostedModel, given: Prompts | None, lora: list[LoraField] | None = None
) -> tuple[int, Embedded]:
    """How many tokens the texts have together, and what was computed of them.

    Raises `BadRequest`, `MediaError`, and what the engine does.
    """
    model = hosted.loaded()
    backend = hosted.engine.backend()
    if given is None:
        raise BadRequest("input: is missing", "input")

    def text(one: Prompt) -> Prompt:
        if len(one.tokens) > backend.longest_text:  # the other texts need not be looked at
            raise TextTooLong(len(one.tokens), backend.longest_text)
        return one if one.tokens else Prompt(embeddable((), model))

    def make() -> tuple[Prompt, ...]:
        sources = hosted.settings.chat.media
        return prompts_of(given, model, backend.projector, sources, "input", at_most=MAX_TEXTS, taking=text)

    return await _embed_prompts(request, hosted, await beside_the_loop(request, make), lora)


async def embed_conversation(
    request: web.Request, hosted: HostedModel, asked: ChatFields, lora: list[LoraField] | None = None
) -> tuple[int, Embedded]:
    """The same of a conversation: one text, as the model's template writes it. Raises `TemplateFailed`, too."""
    hosted.loaded()
    prepared = await beside_the_loop(request, lambda: hosted.prepare(conversation(asked)))
    return await _embed_prompts(request, hosted, (Prompt(prepared.tokens, prepared.pieces),), lora)


async def _embed_prompts(
    request: web.Request, hosted: HostedModel, texts: tuple[Prompt, ...], lora: list[LoraField] | None
) -> tuple[int, Embedded]:
    scales = None if lora is None else adapter_scales(lora, len(hosted.engine.scales), "lora")
    embedded = await _embed(request, hosted.engine, EmbeddingRequest(texts, scales))
    return sum(len(one.tokens) for one in texts), embedded


def embeddable(tokens: tuple[int, ...], model: Model) -> tuple[int, ...]:
    """`tokens`, or for a text without any those of what is next to nothing: an empty text has a place among others."""
    for nearly_nothing in (" ", model.facts.eos, model.facts.bos):
        tokens = tokens or model.tokenize(nearly_nothing, add_special=True, parse_special=True)
    return tokens


async def embed_tokens(request: web.Request, engine: Engine, texts: TokenLists) -> Embedded:
    """What is computed of texts that are tokens already. Raises what the engine does."""
    return await _embed(request, engine, EmbeddingRequest(tuple(map(Prompt, texts))))


async def _embed(request: web.Request, engine: Engine, wanted: EmbeddingRequest) -> Embedded:
    embedding = engine.embed(wanted, origin_of(request))
    async with aborting([embedding]):
        return await embedding


def one_vector_each(embedded: Embedded) -> list[array[float]]:
    """Raises `BadRequest` where the server was told not to make one vector of a text's."""
    if embedded.pooling == "none":
        raise BadRequest(
            "this server does not pool the vectors of a text into one", hint="Start it without --pooling none."
        )
    return [one[0] for one in embedded.vectors]


def shortened(vector: array[float], dimensions: int | None) -> array[float]:
    """The first `dimensions` of a vector, or all of them, at length 1. Raises `BadRequest`."""
    if dimensions is None:
        return normalized(vector, 2)
    if not 1 <= dimensions <= len(vector):
        raise BadRequest(f"dimensions: must be from 1 to the {len(vector)} of this model's vectors", "dimensions")
    return normalized(vector[:dimensions], 2)


def normalized(vector: array[float], p: int) -> array[float]:
    """As llama.cpp's `common_embd_normalize`: -1 not at all, 0 to 32,760 at most, otherwise to a p-norm of 1."""
    largest = max(map(abs, vector), default=0.0)
    if p < 0 or largest == 0:
        return vector
    if p == 0:
        norm = largest / 32760
    elif p == 2:
        norm = math.hypot(*vector)
    else:  # of values up to 1: their powers are never too large, whatever p is
        p = min(p, _LARGEST_P)
        norm = largest * math.fsum((abs(value) / largest) ** p for value in vector) ** (1 / p)
    return array("f", [value / norm for value in vector])


def token_usage(tokens: int) -> dict[str, int]:
    """OpenAI's and llama-server's `usage` of texts of so many."""
    return {"prompt_tokens": tokens, "total_tokens": tokens}
