"""Bodies that come too slowly, are too large, or are not what their headers say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from runtime.server.refusals import MalformedRequest, SlowBody

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

SLOWEST = 1024
"""Bytes a second with which a body must come, over each span of patience."""


def receiving(patience: float, limit: int) -> Middleware:
    """A middleware that has the whole body before a handler is called; `patience` in seconds, `limit` in bytes.

    Raises `SlowBody`, `MalformedRequest`, and aiohttp's `HTTPRequestEntityTooLarge`.
    """

    @web.middleware
    async def receive(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.content_length is not None and request.content_length > limit:
            raise web.HTTPRequestEntityTooLarge(limit, request.content_length)
        if not request.content.is_eof() and request.match_info.http_exception is None:
            await _receive(request, patience)
        return await handler(request)

    return receive


async def _receive(request: web.Request, patience: float) -> None:
    """aiohttp keeps what it has read. Nothing is counted while the body is already there, or comes in time."""
    reading = asyncio.ensure_future(request.read())
    try:
        received = request.content.total_bytes
        while not (await asyncio.wait({reading}, timeout=patience))[0]:
            if request.content.total_bytes - received < patience * SLOWEST:
                raise SlowBody
            received = request.content.total_bytes
        reading.result()
    except web.RequestPayloadError as error:
        raise MalformedRequest("the body is not what its headers say") from error
    finally:
        reading.cancel()
