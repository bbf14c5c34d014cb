"""The server's own handlers, asked without a network: over a pair of sockets that nobody else can reach.

So results are what the server would have answered, errors included. Knows HTTP/1.1 as far as aiohttp's server writes it
for an answer that is whole (RFC 9112, 6.3).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from runtime.loading import ServedModel
from runtime.server.app import build_app
from runtime.server.connections import Connection
from runtime.settings import ServerSettings, Settings


class Answered(msgspec.Struct, frozen=True):
    """`retry_after` in seconds, where it was too early to ask."""

    status: int
    body: bytes
    retry_after: int | None


Ask = Callable[[str, bytes], Awaitable[Answered]]
"""A path and the JSON that is posted there."""


@asynccontextmanager
async def answering(served: Sequence[ServedModel], settings: Settings, at_once: int) -> AsyncIterator[Ask]:
    """Answers to `at_once` requests at a time. Who may call a server does not matter here: nobody else can."""
    app = build_app(served, msgspec.structs.replace(settings, server=ServerSettings()))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    server = runner.server
    assert server is not None

    async def ask(path: str, body: bytes) -> Answered:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: Connection(server, settings.server.timeout, at_once), theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}"
            writer.write(head.encode("ascii") + b"\r\n\r\n" + body)
            return _parse(await reader.read())
        finally:
            writer.close()

    try:
        yield ask
    finally:
        await runner.cleanup()


def _parse(answer: bytes) -> Answered:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert int(headers["content-length"]) == len(body), "the answer is whole"
    retry_after = headers.get("retry-after")
    return Answered(int(status.split(" ")[1]), body, int(retry_after) if retry_after is not None else None)
