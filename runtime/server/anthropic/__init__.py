"""Anthropic's dialect: messages, and how many tokens they are."""

from __future__ import annotations

from runtime.server.anthropic.errors import error_object
from runtime.server.anthropic.messages import MessagesRequest, messages
from runtime.server.anthropic.tokens import count_tokens
from runtime.server.anthropic.turns import ConversationFields
from runtime.server.dialect import Dialect, Route

_CONVERSATION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}

ANTHROPIC = Dialect(
    name="anthropic",
    error=error_object,
    routes=(
        Route("POST", ("/v1/messages",), messages, MessagesRequest, example=_CONVERSATION | {"max_tokens": 64}),
        Route("POST", ("/v1/messages/count_tokens",), count_tokens, ConversationFields, example=_CONVERSATION),
    ),
    prefixes=("/v1/messages",),
)
