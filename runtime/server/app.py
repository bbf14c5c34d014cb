"""The application: every route, and what handlers share."""

from __future__ import annotations

import time

from aiohttp import web

from runtime import __version__
from runtime.loading import ServedModel
from runtime.server import embedding, llamacpp, openai, page, slots
from runtime.server.errors import answer_errors
from runtime.server.keys import PROMPTS, SERVED, SETTINGS, STARTED, Prompts
from runtime.settings import Settings

MAX_BODY = 64 * 1024 * 1024
"""Bytes that one request may have: long contexts and pictures, but not the machine's memory."""


def build_app(served: ServedModel, settings: Settings) -> web.Application:
    """The dialects' routes over one model. Answers from the first moment: 503 while the model loads."""
    app = web.Application(middlewares=[answer_errors], client_max_size=MAX_BODY)
    app[SERVED] = served
    app[SETTINGS] = settings
    app[PROMPTS] = Prompts(settings.system)
    app[STARTED] = int(time.time())
    app.add_routes(llamacpp.ROUTES)
    app.add_routes(openai.ROUTES)
    app.add_routes(embedding.ROUTES)
    app.add_routes(slots.ROUTES)
    app.add_routes(page.ROUTES)
    app.on_response_prepare.append(_name_the_server)
    return app


async def _name_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = f"loaf/{__version__}"
