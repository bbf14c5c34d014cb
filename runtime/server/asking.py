"""The server's own handlers, asked without a network: over pairs of sockets that nobody else can reach.

So results are what the server would have answered, errors included. Knows HTTP/1.1 as far as aiohttp's server writes it
for an answer that is whole (RFC 9112, 6.3). A connection is used again, which spares a request two sockets.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from runtime.models.served import ServedModel
from runtime.server.app import build_app
from runtime.server.connections import IDLE_SECONDS, Connection, read_in_pieces
from runtime.settings import ServerSettings, Settings


class Answered(msgspec.Struct, frozen=True):
    """`retry_after` in seconds, where it was too early to ask."""

    status: int
    body: bytes
    retry_after: int | None


Ask = Callable[[str, bytes], Awaitable[Answered]]
"""A path and the JSON that is posted there."""


@asynccontextmanager
async def answering(served: Sequence[ServedModel], settings: Settings) -> AsyncIterator[Ask]:
    """Answers to as many at a time as are asked. Who may call a server does not matter here: nobody else can."""
    app = build_app(served, msgspec.structs.replace(settings, server=ServerSettings()))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    server = runner.server
    assert server is not None
    wires: list[_Wire] = []

    async def ask(path: str, body: bytes) -> Answered:
        wire = _waiting_one(wires) or await _connect(lambda: Connection(server, settings.server.timeout, sys.maxsize))
        try:
            answered = await wire.ask(path, body)
        except BaseException:
            wire.close()
            raise
        wires.append(wire)
        return answered

    try:
        yield ask
    finally:
        for wire in wires:
            wire.close()
        await runner.cleanup()


class _Wire:
    """A connection to the handlers, on which one request is answered after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._kept_until = 0.0

    async def ask(self, path: str, body: bytes) -> Answered:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode("ascii") + body)
        status, headers = _parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        answer = await self._reader.readexactly(int(headers["content-length"]))
        retry_after = headers.get("retry-after")
        self._kept_until = 0.0
        if headers.get("connection") != "close":
            self._kept_until = asyncio.get_running_loop().time() + IDLE_SECONDS / 2
        return Answered(status, answer, int(retry_after) if retry_after is not None else None)

    @property
    def is_open(self) -> bool:
        """Whether the server keeps it for certain: it does so for longer than is waited here."""
        return asyncio.get_running_loop().time() < self._kept_until

    def close(self) -> None:
        self._writer.close()


async def _connect(protocol: Callable[[], Connection]) -> _Wire:
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(protocol, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    read_in_pieces(writer.transport)
    return _Wire(reader, writer)


def _waiting_one(wires: list[_Wire]) -> _Wire | None:
    while wires:
        wire = wires.pop()
        if wire.is_open:
            return wire
        wire.close()
    return None


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status, *lines = head.decode("ascii").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split(" ")[1]), headers
