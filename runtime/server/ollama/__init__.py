"""Ollama's dialect, below `/api`. Its models are the file's: they cannot be pulled, pushed, made or deleted.

options → sampling   fields → what generate and chat share   generate, chat → text   embed → vectors
catalog → which models there are   fixed → what cannot be done to them
"""

from __future__ import annotations

from typing import Any

from runtime.server.dialect import Dialect, Failure, Route
from runtime.server.ollama.catalog import ShowRequest, ps, show, tags, version
from runtime.server.ollama.chat import ChatRequest, chat
from runtime.server.ollama.embed import EmbeddingsRequest, EmbedRequest, embed, embeddings
from runtime.server.ollama.fixed import (
    CopyRequest,
    ModelRequest,
    copy,
    create,
    delete,
    find_blob,
    pull,
    push,
    send_blob,
)
from runtime.server.ollama.generate import GenerateRequest, generate


def _error(failure: Failure) -> Any:
    """Ollama's form: the text, and nothing else."""
    return {"error": failure.message}


_PROMPT = {"prompt": "Why is the sky blue?", "stream": False}
_CONVERSATION = {"messages": [{"role": "user", "content": "Why is the sky blue?"}]}
_NAMED = {"model": "demo"}

OLLAMA = Dialect(
    name="ollama",
    error=_error,
    prefixes=("/api/",),
    stream="application/x-ndjson",
    routes=(
        Route("POST", ("/api/generate",), generate, GenerateRequest, example=_PROMPT),
        Route("POST", ("/api/chat",), chat, ChatRequest, example=_CONVERSATION | {"stream": False}),
        Route("POST", ("/api/embed",), embed, EmbedRequest, example={"input": "Some text"}),
        Route("POST", ("/api/embeddings",), embeddings, EmbeddingsRequest, example={"prompt": "Some text"}),
        Route("GET", ("/api/tags",), tags),
        Route("GET", ("/api/ps",), ps),
        Route("POST", ("/api/show",), show, ShowRequest, example=_NAMED),
        Route("GET", ("/api/version",), version),
        Route("POST", ("/api/pull",), pull, ModelRequest, example=_NAMED),
        Route("POST", ("/api/push",), push, ModelRequest, example=_NAMED),
        Route("POST", ("/api/create",), create, ModelRequest, example=_NAMED),
        Route("POST", ("/api/copy",), copy, CopyRequest, example={"source": "demo", "destination": "another"}),
        Route("DELETE", ("/api/delete",), delete, ModelRequest, example=_NAMED),
        Route("HEAD", ("/api/blobs/{digest}",), find_blob),
        Route("POST", ("/api/blobs/{digest}",), send_blob),
    ),
)
