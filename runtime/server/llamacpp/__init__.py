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

_RERANK = ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking", "/v2/rerank")
_TEXT = {"prompt": "The first man on the moon was", "n_predict": 16}
_GAP = {"input_prefix": "def one():\n    ", "input_suffix": "\n"}
_CONVERSATION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}
_NAMED = {"model": "demo"}

LLAMACPP = Dialect(
    name="llamacpp",
    error=error_object,
    routes=(
        Route("GET", ("/health", "/v1/health"), health),
        Route("POST", ("/completion", "/completions"), completion, CompletionRequest, example=_TEXT),
        Route("POST", ("/infill",), infill, InfillRequest, example=_GAP),
        Route("POST", ("/tokenize",), tokenize, TokenizeRequest, example={"content": "Some text"}),
        Route("POST", ("/detokenize",), detokenize, DetokenizeRequest, example={"tokens": [1, 2, 3]}),
        Route("POST", ("/apply-template",), apply_template, TemplateRequest, example=_CONVERSATION),
        Route("POST", ("/embedding",), embedding, EmbeddingRequest, example={"content": "Some text"}),
        Route("POST", ("/embeddings",), embeddings, EmbeddingRequest, example={"input": ["Some text", "Another one"]}),
        Route("POST", _RERANK, rerank, RerankRequest, example={"query": "bread", "documents": ["A loaf", "A car"]}),
        Route("GET", ("/props",), props),
        Route("POST", ("/props",), set_props),
        Route("GET", ("/metrics",), metrics, answer="text/plain"),
        Route("GET", ("/slots",), slots),
        Route("POST", ("/slots/{slot}",), slot_action, StateRequest, example={"filename": "state.bin"}),
        Route("POST", ("/models/load",), load, ModelRequest, example=_NAMED),
        Route("POST", ("/models/unload",), unload, ModelRequest, example=_NAMED),
        Route("GET", ("/lora-adapters",), adapters),
        Route("POST", ("/lora-adapters",), set_adapters, ScalesRequest, example=[{"id": 0, "scale": 0.5}]),
    ),
)
