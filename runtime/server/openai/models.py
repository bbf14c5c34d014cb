"""`/v1/models`: which models can be asked."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from runtime.server.json import json_response
from runtime.server.keys import MODELS, STARTED
from runtime.server.models import HostedModel


async def models(request: web.Request) -> web.Response:
    """All of them."""
    started = request.app[STARTED]
    return json_response({"object": "list", "data": [_model(one, started) for one in request.app[MODELS].all]})


async def model(request: web.Request) -> web.Response:
    """One of them."""
    hosted = request.app[MODELS].find(request.match_info["id"])
    return json_response(_model(hosted, request.app[STARTED]))


def _model(hosted: HostedModel, started: int) -> dict[str, Any]:
    facts = hosted.loaded().facts
    meta = {
        "n_vocab": facts.vocabulary_size,
        "n_ctx_train": facts.n_ctx_train,
        "n_embd": facts.embedding_length,
        "n_params": facts.parameter_count,
        "size": facts.size,
    }
    return {"id": hosted.name, "object": "model", "created": started, "owned_by": "loaf", "meta": meta}
