"""`/health`: whether requests can be taken."""

from __future__ import annotations

from aiohttp import web

from runtime.server.json import json_response
from runtime.server.keys import MODELS


async def health(request: web.Request) -> web.Response:
    """200 once every model is loaded, 503 until then."""
    for hosted in request.app[MODELS].all:
        hosted.loaded()
    return json_response({"status": "ok"})
