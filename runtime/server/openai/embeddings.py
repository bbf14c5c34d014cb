"""`/v1/embeddings`: one vector of length 1 for each text."""

from __future__ import annotations

import base64
from array import array
from typing import Any

import msgspec
from aiohttp import web

from runtime.server.chat_messages import ChatFields, ChatMessage
from runtime.server.generating import LoraField
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS
from runtime.server.prompts import Prompts
from runtime.server.refusals import BadRequest
from runtime.server.vectors import embed_conversation, embed_texts, one_vector_each, shortened, token_usage


class EmbeddingsRequest(msgspec.Struct):
    """The body of `/v1/embeddings`; `content` is llama-server's name for `input`.

    `messages` stand for it in vLLM's form: a conversation, which is one text, as the model's template writes it.
    """

    input: Prompts | None = None
    content: Prompts | None = None
    messages: list[ChatMessage] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None
    lora: list[LoraField] | None = None


async def embeddings(request: web.Request) -> web.Response:
    """Turn texts into vectors."""
    body = await decode(request, EmbeddingsRequest)
    if body.encoding_format not in (None, "float", "base64"):
        raise BadRequest("encoding_format: must be float or base64", "encoding_format")
    hosted = request.app[MODELS].find_embedder(body.model)
    given = body.input if body.input is not None else body.content
    if given is None and body.messages is not None:
        tokens, embedded = await embed_conversation(request, hosted, _chat(body), body.lora)
    else:
        tokens, embedded = await embed_texts(request, hosted, given, body.lora)
    as_base64 = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(shortened(vector, body.dimensions), as_base64)}
        for i, vector in enumerate(one_vector_each(embedded))
    ]
    return json_response({"object": "list", "model": hosted.name, "data": data, "usage": token_usage(tokens)})


def _chat(body: EmbeddingsRequest) -> ChatFields:
    """vLLM opens no answer and goes on with none, unless it is told to."""
    return ChatFields(
        messages=body.messages,
        add_generation_prompt=bool(body.add_generation_prompt),
        continue_final_message=bool(body.continue_final_message),
        chat_template_kwargs=body.chat_template_kwargs,
    )


def _encoded(vector: array[float], as_base64: bool) -> Any:
    """Numbers, or the little-endian 32-bit floats in Base64."""
    return base64.b64encode(vector.tobytes()).decode("ascii") if as_base64 else vector.tolist()
