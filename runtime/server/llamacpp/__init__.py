"""llama.cpp's native dialect, as llama-server speaks it. Paths of nobody else's are its own too."""

from __future__ import annotations

from runtime.server.dialect import Dialect, Route, error_object
from runtime.server.generating import LoraField
from runtime.server.llamacpp.completion import CompletionRequest, completion
from runtime.server.llamacpp.embedding import EmbeddingRequest, RerankRequest, embeddings, rerank
from runtime.server.llamacpp.health import health
from runtime.server.llamacpp.slots import StateRequest, adapters, set_adapters, slot_action, slots

LLAMACPP = Dialect(
    name="llamacpp",
    error=error_object,
    routes=(
        Route("GET", ("/health", "/v1/health"), health),
        Route("POST", ("/completion", "/completions"), completion, CompletionRequest),
        Route("POST", ("/embedding", "/embeddings"), embeddings, EmbeddingRequest),
        Route("POST", ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking"), rerank, RerankRequest),
        Route("GET", ("/slots",), slots),
        Route("POST", ("/slots/{slot}",), slot_action, StateRequest),
        Route("GET", ("/lora-adapters",), adapters),
        Route("POST", ("/lora-adapters",), set_adapters, list[LoraField]),
    ),
)
