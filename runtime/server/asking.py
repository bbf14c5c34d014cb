"""The server's own handlers, asked without a network: over pairs of sockets that nobody else can reach.

So results are what the server would have answered, errors included. A connection is used again, which spares a request
two sockets.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from runtime.models.served import ServedModel
from runtime.server.app import build_app
from runtime.server.connections import IDLE_SECONDS, Connection, read_in_pieces
from runtime.server.wire import Answered, Ask, Wire
from runtime.settings import ServerSettings, Settings


@asynccontextmanager
async def answering(served: Sequence[ServedModel], settings: Settings) -> AsyncIterator[Ask]:
    """Answers to as many at a time as are asked. Who may call a server does not matter here: nobody else can."""
    app = build_app(served, msgspec.structs.replace(settings, server=ServerSettings()))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    server = runner.server
    assert server is not None
    wires: list[Wire] = []

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


async def _connect(protocol: Callable[[], Connection]) -> Wire:
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(protocol, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    read_in_pieces(writer.transport)
    return Wire(reader, writer, "Host: localhost\r\n", IDLE_SECONDS / 2)


def _waiting_one(wires: list[Wire]) -> Wire | None:
    while wires:
        wire = wires.pop()
        if wire.is_open:
            return wire
        wire.close()
    return None
