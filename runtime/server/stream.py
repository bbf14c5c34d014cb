"""Streams over HTTP/1.1 chunked encoding: server-sent events with and without names, and lines of JSON.

A client that leaves cancels its handler (aiohttp's `handler_cancellation`), which aborts what it asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.jobs import Job
from runtime.server.json import encode


class Framing(msgspec.Struct, frozen=True):
    """How the objects of a stream become bytes, and what comes after the last."""

    content_type: str
    frame: Callable[[Any], bytes]
    end: bytes = b""


def _event(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def _named_event(value: dict[str, Any]) -> bytes:
    name: str = value["type"]
    return b"event: " + name.encode("ascii") + b"\n" + _event(value)


def _line(value: Any) -> bytes:
    return encode(value) + b"\n"


EVENTS = Framing("text/event-stream", _event)
EVENTS_UNTIL_DONE = Framing("text/event-stream", _event, b"data: [DONE]\n\n")
"""OpenAI's: its clients wait for the last event."""
NAMED_EVENTS = Framing("text/event-stream", _named_event)
"""Each event is named by its object's `type`."""
LINES = Framing("application/x-ndjson", _line)


@asynccontextmanager
async def aborting(jobs: Iterable[Job]) -> AsyncIterator[None]:
    """`jobs` end with the block, however that ends."""
    try:
        yield
    finally:
        for job in jobs:
            job.abort()


class Stream:
    """The answer to one request. It begins with the first object, so that an error before it has its own status."""

    def __init__(self, request: web.Request, framing: Framing) -> None:
        self._request = request
        self._framing = framing
        self._response: web.StreamResponse | None = None

    @property
    def response(self) -> web.StreamResponse | None:
        """None until something was sent."""
        return self._response

    async def send_all(self, values: Iterable[Any]) -> None:
        """Each of `values`, all in one piece."""
        data = b"".join(map(self._framing.frame, values))
        if data:
            await self._write(data)

    async def end(self) -> None:
        """What comes after the last."""
        if self._framing.end:
            await self._write(self._framing.end)

    async def _write(self, data: bytes) -> None:
        if self._response is None:
            headers = {"Content-Type": self._framing.content_type, "Cache-Control": "no-cache"}
            self._response = web.StreamResponse(headers=headers)
            await self._response.prepare(self._request)
        await self._response.write(data)
