"""Server-sent events over HTTP/1.1 chunked encoding.

A client that leaves cancels its handler (aiohttp's `handler_cancellation`), which aborts what it asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from runtime.engine.jobs import Job
from runtime.server.json import encode


@asynccontextmanager
async def aborting(jobs: Iterable[Job]) -> AsyncIterator[None]:
    """`jobs` end with the block, however that ends."""
    try:
        yield
    finally:
        for job in jobs:
            job.abort()


class EventStream:
    """The answer to one request. It begins with the first event, so that an error before it has its own status."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None

    @property
    def response(self) -> web.StreamResponse | None:
        """None until something was sent."""
        return self._response

    async def send_all(self, events: Iterable[Any]) -> None:
        """Each of `events` as an event with JSON, all in one piece."""
        data = b"".join(b"data: " + encode(event) + b"\n\n" for event in events)
        if data:
            await self._write(data)

    async def done(self) -> None:
        """OpenAI's last event."""
        await self._write(b"data: [DONE]\n\n")

    async def _write(self, data: bytes) -> None:
        if self._response is None:
            self._response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
            )
            await self._response.prepare(self._request)
        await self._response.write(data)
