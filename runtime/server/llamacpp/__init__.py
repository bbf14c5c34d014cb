"""llama.cpp's native dialect, as llama-server speaks it. Paths of nobody else's are its own too."""

from __future__ import annotations

from runtime.server.dialect import Dialect, Route, error_object
from runtime.server.llamacpp.adapters import ScalesRequest, adapters, set_adapters
from runtime.server.llamacpp.completion import CompletionRequest, completion
from runtime.server.llamacpp.embedding import EmbeddingRequest, RerankRequest, embedding, embeddings, rerank
from runtime.server.llamacpp.health import health
from runtime.server.llamacpp.infill import InfillRequest, infill
from runtime.server.llamacpp.loading import ModelRequest, load, unload
from runtime.server.llamacpp.metrics import metrics
from runtime.server.llamacpp.props import props, set_props
from runtime.server.llamacpp.slots import StateRequest, slot_action, slots
from runtime.server.llamacpp.tokens import (
    DetokenizeRequest,
    TemplateRequest,
    TokenizeRequest,
    apply_template,
    detokenize,
    tokenize,
)

LLAMACPP = Dialect(
    name="llamacpp",
    error=error_object,
    routes=(
        Route("GET", ("/health", "/v1/health"), health),
        Route("POST", ("/completion", "/completions"), completion, CompletionRequest),
        Route("POST", ("/infill",), infill, InfillRequest),
        Route("POST", ("/tokenize",), tokenize, TokenizeRequest),
        Route("POST", ("/detokenize",), detokenize, DetokenizeRequest),
        Route("POST", ("/apply-template",), apply_template, TemplateRequest),
        Route("POST", ("/embedding",), embedding, EmbeddingRequest),
        Route("POST", ("/embeddings",), embeddings, EmbeddingRequest),
        Route("POST", ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking", "/v2/rerank"), rerank, RerankRequest),
        Route("GET", ("/props",), props),
        Route("POST", ("/props",), set_props),
        Route("GET", ("/metrics",), metrics, answer="text/plain"),
        Route("GET", ("/slots",), slots),
        Route("POST", ("/slots/{slot}",), slot_action, StateRequest),
        Route("POST", ("/models/load",), load, ModelRequest),
        Route("POST", ("/models/unload",), unload, ModelRequest),
        Route("GET", ("/lora-adapters",), adapters),
        Route("POST", ("/lora-adapters",), set_adapters, ScalesRequest),
    ),
)
