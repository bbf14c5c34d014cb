"""What a connection does with bytes, whatever they ask for."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from runtime.server.connections import READ_BYTES, Connection


def test_bodies_are_read_in_pieces() -> None:
    """A long one comes to the handler whole, and never more of it at once than the heap has a place for."""
    body = bytes(range(256)) * 3072
    pieces: list[int] = []

    class Listening(Connection):
        def data_received(self, data: bytes) -> None:
            pieces.append(len(data))
            super().data_received(data)

    async def compare(request: web.BaseRequest) -> web.Response:
        return web.Response(text=str(await request.read() == body))

    async def send() -> bytes:
        server = web.Server(compare)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Listening(server, 30.0, sys.maxsize), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.read()
        writer.close()
        listener.close()
        await server.shutdown()
        return answer

    assert asyncio.run(send()).endswith(b"\r\n\r\nTrue")
    assert max(pieces) == READ_BYTES, "as much as there is, and no more"
