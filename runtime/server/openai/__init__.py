"""OpenAI's dialect: chat, models and embeddings below `/v1`, and the same without it."""

from __future__ import annotations

from runtime.server.dialect import Dialect, Route, error_object
from runtime.server.openai.chat import ChatRequest, chat_completions
from runtime.server.openai.embeddings import EmbeddingsRequest, embeddings
from runtime.server.openai.models import model, models

OPENAI = Dialect(
    name="openai",
    error=error_object,
    routes=(
        Route("GET", ("/v1/models", "/models"), models),
        Route("GET", ("/v1/models/{id:.+}", "/models/{id:.+}"), model),
        Route("POST", ("/v1/chat/completions", "/chat/completions"), chat_completions, ChatRequest),
        Route("POST", ("/v1/embeddings",), embeddings, EmbeddingsRequest),
    ),
)
