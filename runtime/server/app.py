"""The application: every route, and what handlers share."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aiohttp import web

from runtime.models.served import ServedModel
from runtime.server.access import answer_headers, guard
from runtime.server.anthropic import ANTHROPIC
from runtime.server.connections import SERVER_NAME
from runtime.server.dialect import Handler
from runtime.server.errors import answering_errors
from runtime.server.keys import MODELS, PING_SECONDS, READINESS, RENEWABLE, SETTINGS, SLEEPERS, STARTED
from runtime.server.llamacpp import LLAMACPP
from runtime.server.logging import logging_requests
from runtime.server.models import HostedModel, Models
from runtime.server.ollama import OLLAMA
from runtime.server.openai import OPENAI
from runtime.server.openai.memory import MEMORY, AnswerMemory
from runtime.server.openapi import describing
from runtime.server.page import asset, assets, docs, index, to_index
from runtime.server.readiness import Readiness, counting
from runtime.server.receiving import receiving
from runtime.server.renewing import Renewable
from runtime.server.sleeping import Sleepers, waking
from runtime.server.tracing import name_in_answer
from runtime.settings import Settings

DIALECTS = (LLAMACPP, OPENAI, OLLAMA, ANTHROPIC)

PUBLIC = frozenset({"/", "/docs", "/openapi.json", "/health", "/v1/health"})
"""Paths that are answered without a key: the page (which asks for one itself; its `assets` belong to it), how requests
look, and whether the server is well."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes that one request may have: long contexts and pictures, but not the machine's memory."""

_PING_SECONDS = 10.0
"""Clients and proxies give up after a minute or more: nginx 60 s, qwen-code 120 s, Codex 300 s."""


def build_app(
    served: Sequence[ServedModel], settings: Settings, *, ping_seconds: float = _PING_SECONDS
) -> web.Application:
    """The dialects' routes over the models. Answers from the first moment: 503 while they load."""
    server = settings.server
    prefix = server.api_prefix
    public = frozenset(prefix + path for path in (PUBLIC.union(assets(), {""}) if server.serves_page else PUBLIC))
    readiness, renewable = Readiness(), Renewable(server)
    first, *others = served
    models = Models([HostedModel(first, settings), *(HostedModel(one, settings.of_another_model()) for one in others)])
    sleepers = Sleepers([one.sleeper for one in models.all], server.most_models)
    outermost = [logging_requests()] if settings.log.is_wanted else []
    middlewares = [
        *outermost,
        answering_errors(DIALECTS, prefix),
        guard(server, public, renewable.keyring),
        counting(readiness),
        receiving(server.timeout, MAX_BODY),
        waking(sleepers),
    ]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app[MODELS] = models
    app[SLEEPERS] = sleepers
    app[SETTINGS] = settings
    app[STARTED] = int(time.time())
    app[PING_SECONDS] = ping_seconds
    app[MEMORY] = AnswerMemory()
    app[READINESS] = readiness
    app[RENEWABLE] = renewable
    if server.serves_page:
        app.router.add_get(f"{prefix}/", index)
        app.router.add_get(f"{prefix}/docs", docs)
        app.router.add_get(f"{prefix}/assets/{{name}}", asset)
        if prefix:
            app.router.add_get(prefix, to_index)
    app.router.add_get(f"{prefix}/openapi.json", describing(DIALECTS, prefix))
    for dialect in DIALECTS:
        for route in dialect.routes:
            for path in route.paths:
                for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
                    app.router.add_route(method, prefix + path, _answering(route.handler))
    app.on_response_prepare.append(answer_headers(server))
    app.on_response_prepare.append(_name_the_server)
    app.on_response_prepare.append(name_in_answer)
    return app


def _answering(handler: Handler) -> Handler:
    """`handler`, which may be one that is not imported yet."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return answer


async def _name_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
