"""`/health`: whether requests can be taken."""

from __future__ import annotations

from aiohttp import web

from runtime.engine.errors import StillLoading
from runtime.models.served import loaded_share
from runtime.server.json import json_response
from runtime.server.keys import MODELS, READINESS
from runtime.server.refusals import ServerStopping


async def health(request: web.Request) -> web.Response:
    """200 once every model is loaded, 503 until then, with how far that is.

    With `?ready`, 503 too from when the server is told to stop: it lives, but whoever shares out requests should go
    elsewhere.
    """
    if "ready" in request.query and request.app[READINESS].drains:
        raise ServerStopping
    models = request.app[MODELS].all
    try:
        for hosted in models:
            hosted.engine.described()
    except StillLoading:
        raise StillLoading(loaded_share([hosted.served for hosted in models])) from None
    return json_response({"status": "ok"})
