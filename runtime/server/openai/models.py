"""`/v1/models`: which models can be asked."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runtime.server.json import json_response
from runtime.server.keys import MODELS, STARTED
from runtime.server.models import HostedModel


async def models(request: web.Request) -> web.Response:
    """All of them: in `data` as OpenAI lists them, in `models` as llama-server does besides."""
    hosted = request.app[MODELS].all
    return json_response(
        {
            "object": "list",
            "data": [_model(request, one) for one in hosted],
            "models": [_ollama_model(one) for one in hosted],
        }
    )


async def model(request: web.Request) -> web.Response:
    """The one of this name."""
    return json_response(_model(request, request.app[MODELS].named(request.match_info["id"])))


def _model(request: web.Request, hosted: HostedModel) -> dict[str, Any]:
    backend = hosted.engine.backend()
    facts = backend.model.facts
    meta = {
        "n_vocab": facts.vocabulary_size,
        **({"n_ctx": backend.generator.n_ctx} if backend.generator else {}),
        "n_ctx_train": facts.n_ctx_train,
        "n_embd": facts.embedding_length,
        "n_params": facts.parameter_count,
        "size": facts.size,
    }
    return {
        "id": hosted.name,
        "aliases": hosted.aliases,
        "tags": hosted.tags,
        "object": "model",
        "created": request.app[STARTED],
        "owned_by": "loaf",
        "capabilities": hosted.capabilities,
        "meta": meta,
    }


def _ollama_model(hosted: HostedModel) -> dict[str, Any]:
    """As llama-server has it, with what only Ollama knows left empty."""
    return {
        "name": hosted.name,
        "model": hosted.name,
        "modified_at": "",
        "size": "",
        "digest": "",
        "type": "model",
        "description": "",
        "tags": [""],
        "capabilities": hosted.capabilities,
        "parameters": "",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "",
            "families": [""],
            "parameter_size": "",
            "quantization_level": "",
        },
    }
