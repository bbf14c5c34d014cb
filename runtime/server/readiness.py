"""Whether new work is taken, and how much is being answered: what a server needs to know to stop without cutting off.

Refuses to know when it stops (`serve.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from runtime.server.refusals import ServerStopping

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that are answered at once."""


class Readiness:
    """`answering` requests have come and are not answered yet. `drains`: no others are taken."""

    def __init__(self) -> None:
        self.answering = 0
        self.drains = False


def counting(readiness: Readiness) -> Middleware:
    """A middleware that counts requests, and takes no new work while there is to be none. Raises `ServerStopping`."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        if readiness.drains and request.method not in _LOOKING:
            raise ServerStopping
        readiness.answering += 1
        try:
            return await handler(request)
        finally:
            readiness.answering -= 1

    return count
