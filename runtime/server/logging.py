"""A line in the log for each request, once it has been answered: who asked for what, how it ended, what it took."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from runtime.engine.types import FinishedEvent
from runtime.machine.logs import REQUESTS
from runtime.server.tracing import named

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_CLIENT_LEFT = 499
"""The status of a request whose client did not wait for the answer: nginx's word for it."""


class Spent(msgspec.Struct, frozen=True):
    """Tokens of all answers to one request; those that were cached were not computed."""

    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int


_SPENT = web.RequestKey("spent", Spent)


def note_tokens(request: web.Request, finished: Iterable[FinishedEvent]) -> None:
    """What has been generated for `request`, so that its line in the log tells."""
    usages = [event.usage for event in finished]
    request[_SPENT] = Spent(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        generated_tokens=sum(usage.generated_tokens for usage in usages),
    )


def logging_requests() -> Middleware:
    """A middleware around all others."""
    log = logging.getLogger(REQUESTS)

    @web.middleware
    async def log_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except asyncio.CancelledError:
            _write(log, request, _CLIENT_LEFT, time.monotonic() - began)
            raise
        except web.HTTPException as answer:
            _write(log, request, answer.status, time.monotonic() - began)
            raise
        _write(log, request, response.status, time.monotonic() - began)
        return response

    return log_request


def _write(log: logging.Logger, request: web.Request, status: int, seconds: float) -> None:
    spent, name = request.get(_SPENT), named(request)
    fields: dict[str, Any] = {
        "client": request.remote or "local",
        "method": request.method,
        "path": request.path,
        "status": status,
        "seconds": round(seconds, 4),
        **({} if spent is None else msgspec.structs.asdict(spent)),
        "request_id": name.id,
        **({} if name.trace is None else {"trace_id": name.trace.id, "span_id": name.trace.span}),
    }
    tokens = "" if spent is None else (
        f", {spent.prompt_tokens} prompt tokens ({spent.cached_tokens} cached), {spent.generated_tokens} generated"
    )  # fmt: skip
    level = logging.INFO if status < 500 else logging.ERROR
    text = f"{fields['client']} {request.method} {request.path!r} {status} in {seconds:.3f} s{tokens} [{name.id}]"
    log.log(level, "%s", text, extra={"fields": fields})
