"""Streams over HTTP/1.1 chunked encoding: server-sent events with and without names, and lines of JSON.

The headers go out at once, and where the framing knows how, a sign of life whenever nothing has been said for a while:
clients and proxies give up on a request that they hear nothing of, however long its prompt is. A client that leaves
cancels its handler (aiohttp's `handler_cancellation`), which aborts what it asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiohttp import web

from runtime.engine.jobs import Job
from runtime.server.json import encode
from runtime.server.keys import PING_SECONDS


class Framing(msgspec.Struct, frozen=True):
    """How the objects of a stream become bytes, what comes after the last, and what means nothing: b"" for nothing."""

    content_type: str
    frame: Callable[[Any], bytes]
    end: bytes = b""
    ping: bytes = b""


def _event(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


def _named_event(value: dict[str, Any]) -> bytes:
    name: str = value["type"]
    return b"event: " + name.encode("ascii") + b"\n" + _event(value)


def _line(value: Any) -> bytes:
    return encode(value) + b"\n"


_COMMENT = b": ping\n\n"
"""What readers of server-sent events pass over (HTML standard, 9.2.6)."""

EVENTS = Framing("text/event-stream", _event)
"""Native ones: llama-server's clients take any line for text, so there are no pings."""
EVENTS_UNTIL_DONE = Framing("text/event-stream", _event, b"data: [DONE]\n\n", _COMMENT)
"""OpenAI's: its clients wait for the last event."""
NAMED_EVENTS = Framing("text/event-stream", _named_event, ping=_COMMENT)
"""Each event is named by its object's `type`."""
PINGED_EVENTS = Framing("text/event-stream", _named_event, ping=_named_event({"type": "ping"}))
"""The same with pings that are events, as Anthropic has them."""
LINES = Framing("application/x-ndjson", _line)


@asynccontextmanager
async def aborting(jobs: Iterable[Job]) -> AsyncIterator[None]:
    """`jobs` end with the block, however that ends."""
    try:
        yield
    finally:
        for job in jobs:
            job.abort()


@asynccontextmanager
async def streaming(request: web.Request, framing: Framing) -> AsyncIterator[Stream]:
    """The answer to `request`, from its headers on, which are sent now: what fails from here on is told in it."""
    headers = {
        "Content-Type": framing.content_type,
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",  # nginx would wait for more
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    stream = Stream(response, framing)
    pinging = asyncio.create_task(stream.ping(request.app[PING_SECONDS])) if framing.ping else None
    try:
        yield stream
    finally:
        if pinging is not None:
            pinging.cancel()
            with suppress(asyncio.CancelledError, ConnectionResetError):
                await pinging


class Stream:
    """What has begun to be sent as `response`."""

    def __init__(self, response: web.StreamResponse, framing: Framing) -> None:
        self.response = response
        self._framing = framing
        self._clock = asyncio.get_running_loop().time
        self._sent_at = self._clock()

    async def send_all(self, values: Iterable[Any]) -> None:
        """Each of `values`, all in one piece."""
        data = b"".join(map(self._framing.frame, values))
        if data:
            await self._write(data)

    async def end(self, values: Iterable[Any]) -> None:
        """The last `values`, what comes after them, and the end of the answer, all in one piece."""
        self._sent_at = self._clock()
        await self.response.write_eof(b"".join([*map(self._framing.frame, values), self._framing.end]))

    async def ping(self, seconds: float) -> None:
        """For ever: send a ping whenever nothing else was sent for so long."""
        while True:
            silent = self._clock() - self._sent_at
            if silent >= seconds:
                await self._write(self._framing.ping)
            else:
                await asyncio.sleep(seconds - silent)

    async def _write(self, data: bytes) -> None:
        self._sent_at = self._clock()
        await self.response.write(data)
