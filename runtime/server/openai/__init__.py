"""OpenAI's dialect below `/v1`, and the same without it."""

from __future__ import annotations

from runtime.server.dialect import FORM, Dialect, Route
from runtime.server.openai.chat import (
    ChatRequest,
    chat_completion,
    chat_completions,
    count_chat_tokens,
    forget_chat_completion,
)
from runtime.server.openai.completions import CompletionRequest, completions
from runtime.server.openai.embeddings import EmbeddingsRequest, embeddings
from runtime.server.openai.errors import error_object
from runtime.server.openai.models import model, models
from runtime.server.openai.responses.handlers import count_response_tokens, create_response
from runtime.server.openai.responses.request import ResponsesRequest
from runtime.server.openai.responses.stored import cancel_response, forget_response, input_items, response
from runtime.server.openai.transcriptions import (
    TranscriptionRequest,
    TranslationRequest,
    transcriptions,
    translations,
)

_CHAT = ("/v1/chat/completions", "/chat/completions")
_RESPONSES = ("/v1/responses", "/responses")

_CONVERSATION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}
_TEXT = {"prompt": "The first man on the moon was", "max_tokens": 16}
_SOUND = {"file": "@note.wav"}
_INPUT = {"input": "Why is the sky blue?"}

OPENAI = Dialect(
    name="openai",
    error=error_object,
    prefixes=("/v1/", *_CHAT, *_RESPONSES, "/models", "/audio/"),
    routes=(
        Route("GET", ("/v1/models", "/models"), models),
        Route("GET", ("/v1/models/{id:.+}", "/models/{id:.+}"), model),
        Route("POST", _CHAT, chat_completions, ChatRequest, example=_CONVERSATION),
        Route(
            "POST",
            tuple(f"{path}/input_tokens" for path in _CHAT),
            count_chat_tokens,
            ChatRequest,
            example=_CONVERSATION,
        ),
        Route("GET", tuple(f"{path}/{{id}}" for path in _CHAT), chat_completion),
        Route("DELETE", tuple(f"{path}/{{id}}" for path in _CHAT), forget_chat_completion),
        Route("POST", ("/v1/completions",), completions, CompletionRequest, example=_TEXT),
        Route("POST", _RESPONSES, create_response, ResponsesRequest, example=_INPUT),
        Route(
            "POST",
            tuple(f"{path}/input_tokens" for path in _RESPONSES),
            count_response_tokens,
            ResponsesRequest,
            example=_INPUT,
        ),
        Route("GET", tuple(f"{path}/{{id}}" for path in _RESPONSES), response),
        Route("DELETE", tuple(f"{path}/{{id}}" for path in _RESPONSES), forget_response),
        Route("GET", tuple(f"{path}/{{id}}/input_items" for path in _RESPONSES), input_items),
        Route("POST", tuple(f"{path}/{{id}}/cancel" for path in _RESPONSES), cancel_response),
        Route(
            "POST",
            ("/v1/audio/transcriptions", "/audio/transcriptions"),
            transcriptions,
            TranscriptionRequest,
            FORM,
            example=_SOUND,
        ),
        Route(
            "POST",
            ("/v1/audio/translations", "/audio/translations"),
            translations,
            TranslationRequest,
            FORM,
            example=_SOUND,
        ),
        Route("POST", ("/v1/embeddings",), embeddings, EmbeddingsRequest, example={"input": "Some text"}),
    ),
)
