"""`/v1/models`: which models can be asked, and how long a conversation with each may be.

Other programs than OpenAI's clients ask at the same path, and tell who they are; `other_models.py` has their forms.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runtime.server.json import json_response
from runtime.server.keys import MODELS, STARTED
from runtime.server.models import HostedModel
from runtime.server.openai.other_models import anthropic_list, anthropic_model, codex_list

_ANTHROPIC = "anthropic-version"
"""The header that all of Anthropic's clients send."""

_CODEX = "client_version"
"""The parameter that Codex asks with."""


async def models(request: web.Request) -> web.Response:
    """All of them: in `data` as OpenAI lists them, in `models` as llama-server does besides.

    In Anthropic's form where an `anthropic-version` is sent, in Codex's where a `client_version` is.
    """
    hosted = request.app[MODELS].all
    if _ANTHROPIC in request.headers:
        return json_response(anthropic_list(hosted, request.app[STARTED]))
    if _CODEX in request.query:
        return json_response(codex_list(hosted))
    return json_response(
        {
            "object": "list",
            "data": [_model(request, one) for one in hosted],
            "models": [_ollama_model(one) for one in hosted],
        }
    )


async def model(request: web.Request) -> web.Response:
    """The one of this name."""
    hosted = request.app[MODELS].named(request.match_info["id"])
    if _ANTHROPIC in request.headers:
        return json_response(anthropic_model(hosted, request.app[STARTED]))
    return json_response(_model(request, hosted))


def _model(request: web.Request, hosted: HostedModel) -> dict[str, Any]:
    facts = hosted.facts
    meta = {
        "n_vocab": facts.vocabulary_size,
        "n_ctx": hosted.context_length,
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
        "context_length": hosted.context_length,
        "max_model_len": hosted.context_length,
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
