"""`/tokenize`, `/detokenize` and `/apply-template`: the model's vocabulary and its chat template, and no model run."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.backend import Model
from runtime.server.beside import beside_the_loop
from runtime.server.chat_messages import ChatFields, conversation
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS
from runtime.server.prompts import Mixed, known_token, mixed_tokens, token_text


class TokenizeRequest(msgspec.Struct):
    """The body of `/tokenize`. `parse_special`: texts like `<s>` mean the tokens that they stand for."""

    content: Mixed = ""
    model: str | None = None
    add_special: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None


class DetokenizeRequest(msgspec.Struct):
    """The body of `/detokenize`."""

    tokens: list[int] = msgspec.field(default_factory=list)
    model: str | None = None


class TemplateRequest(ChatFields):
    """The body of `/apply-template`: a chat's, as OpenAI's dialect has it."""

    model: str | None = None


async def tokenize(request: web.Request) -> web.Response:
    """Turn text into tokens."""
    body = await decode(request, TokenizeRequest)
    model = request.app[MODELS].find(body.model).loaded()

    def make() -> list[Any]:
        tokens = mixed_tokens(
            body.content,
            model,
            "content",
            add_special=bool(body.add_special),
            parse_special=body.parse_special is not False,
        )
        return [_with_piece(token, model) for token in tokens] if body.with_pieces else list(tokens)

    return json_response({"tokens": await beside_the_loop(request, make)})


async def detokenize(request: web.Request) -> web.Response:
    """Turn tokens into text."""
    body = await decode(request, DetokenizeRequest)
    model = request.app[MODELS].find(body.model).loaded()

    def make() -> str:
        return token_text([known_token(token, model, "tokens") for token in body.tokens], model)

    return json_response({"content": await beside_the_loop(request, make)})


async def apply_template(request: web.Request) -> web.Response:
    """Turn a conversation into the prompt that the model would be given."""
    body = await decode(request, TemplateRequest)
    hosted = request.app[MODELS].find(body.model)
    hosted.loaded()
    prepared = await beside_the_loop(request, lambda: hosted.prepare(conversation(body)), takes_long=True)
    return json_response({"prompt": prepared.text})


def _with_piece(token: int, model: Model) -> dict[str, Any]:
    """The token and its text, or its bytes where they are no text by themselves."""
    piece = model.piece(token, special=True)
    try:
        return {"id": token, "piece": piece.decode("utf-8")}
    except UnicodeDecodeError:
        return {"id": token, "piece": list(piece)}
