"""`/v1/messages/count_tokens`."""

from __future__ import annotations

from aiohttp import web

from runtime.server.anthropic.turns import ConversationFields, conversation
from runtime.server.beside import beside_the_loop
from runtime.server.json import decode, json_response
from runtime.server.keys import MODELS


async def count_tokens(request: web.Request) -> web.Response:
    """How many tokens a conversation is, with its system prompt and tools."""
    body = await decode(request, ConversationFields)
    hosted = request.app[MODELS].find_generator(body.model)
    takes_long = body.takes_long()
    prepared = await beside_the_loop(request, lambda: hosted.prepare(conversation(body)), takes_long=takes_long)
    return json_response({"input_tokens": len(prepared.tokens)})
