"""`/models/load` and `/models/unload`, which llama-server has where it is a router over several models.

Here all models of the file are loaded at the launch and stay: that is what clients are told.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from runtime.server.json import decode
from runtime.server.keys import MODELS
from runtime.server.models import HostedModel
from runtime.server.refusals import BadRequest, ModelsFixed


class ModelRequest(msgspec.Struct):
    """The body of both."""

    model: str


async def load(request: web.Request) -> web.Response:
    """Refuse to load a model: it is running already, as llama-server says then."""
    hosted = await _named(request)
    raise BadRequest(f"model is already running: {hosted.name}", "model", "Ask it: there is nothing to load.")


async def unload(request: web.Request) -> web.Response:
    """Refuse to let go of a model."""
    hosted = await _named(request)
    raise ModelsFixed(f"unload {hosted.name}", [one.name for one in request.app[MODELS].all])


async def _named(request: web.Request) -> HostedModel:
    """Raises `UnknownModel`."""
    return request.app[MODELS].named((await decode(request, ModelRequest)).model)
