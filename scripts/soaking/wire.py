"""A client that can misbehave: HTTP/1.1 over a socket that may be closed at any moment, gently or not.

Knows as much of HTTP as these servers speak: answers have a length or come in chunks, and connections are kept.
Refuses to know what is asked.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_HEAD_LIMIT = 64 * 1024


class Broken(Exception):
    """The connection ended, or what came was no HTTP, before the answer was whole; `got` is what had arrived."""

    def __init__(self, reason: str, got: bytes) -> None:
        super().__init__(f"{reason}, after {len(got)} bytes: {got[-200:]!r}")
        self.got = got


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Head:
    """`length` of the body in bytes; None when it comes in chunks. Names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def length(self) -> int | None:
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return None if chunked else int(self.headers.get("content-length", "0"))

    @property
    def keeps(self) -> bool:
        """Whether the server takes another request on the connection."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, for one request at a time. Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._got = b""

    async def send(self, data: bytes) -> None:
        """Raises OSError."""
        self._got = b""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> Head:
        """The beginning of the answer. Raises `Broken`."""
        data = await self._until(b"\r\n\r\n")
        status_line, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
        parts = status_line.split(maxsplit=2)
        if len(parts) < 2 or not parts[1].isdigit() or not all(":" in line for line in lines):
            raise Broken("no HTTP answer", self._got)
        headers = {
            name.strip().lower(): content.strip() for name, _, content in (line.partition(":") for line in lines)
        }
        return Head(int(parts[1]), headers)

    async def piece(self) -> bytes:
        """The next chunk of a body that comes in chunks; empty at its end. Raises `Broken`."""
        line = await self._until(b"\r\n")
        try:
            size = int(line, 16)
        except ValueError:
            raise Broken("not a chunk's size", self._got) from None
        return (await self._exactly(size + 2))[:-2]

    async def body(self, head: Head) -> bytes:
        """Raises `Broken`."""
        if head.length is not None:
            return await self._exactly(head.length)
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def reply(self) -> Reply:
        """The whole answer. Raises `Broken`. Afterwards the connection may be used again if the server keeps it."""
        head = await self.head()
        body = await self.body(head)
        if not head.keeps:
            self.close()
        return Reply(head.status, head.headers, body)

    @property
    def closed(self) -> bool:
        return self._writer.is_closing() or self._reader.at_eof()

    def close(self, *, reset: bool = False) -> None:
        """Say goodbye; or with `reset` make the system tell the server that nobody is there."""
        if reset:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def _until(self, mark: bytes) -> bytes:
        try:
            data = await self._reader.readuntil(mark)
        except asyncio.IncompleteReadError as error:
            raise Broken("the connection ended", self._got + error.partial) from error
        except asyncio.LimitOverrunError as error:
            raise Broken("no HTTP answer", self._got) from error
        except OSError as error:
            raise Broken(str(error), self._got) from error
        self._got = (self._got + data)[-1000:]
        return data

    async def _exactly(self, size: int) -> bytes:
        try:
            data = await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise Broken("the connection ended", self._got + error.partial) from error
        except OSError as error:
            raise Broken(str(error), self._got) from error
        self._got = (self._got + data)[-1000:]
        return data


async def connect(address: Address) -> Connection:
    """Raises OSError."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=_HEAD_LIMIT)
    return Connection(reader, writer)


def request_bytes(method: str, path: str, body: bytes) -> bytes:
    """A request that lets the connection be kept."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def ask(address: Address, method: str, path: str, body: bytes = b"", *, patience: int) -> Reply:
    """One request on a connection of its own, for `patience` seconds at most. Raises OSError, `Broken`."""
    try:
        return await patiently(_ask(address, request_bytes(method, path, body)), patience)
    except asyncio.TimeoutError:
        raise Broken(f"{method} {path}: no end of it after {patience} seconds", b"") from None


async def patiently(doing: Coroutine[Any, Any, T], patience: int) -> T:
    """What `doing` returns, if it ends within `patience` seconds. Raises asyncio.TimeoutError, and what it raises.

    The seconds are counted one by one: while the whole machine stands still, so do they.
    """
    task = asyncio.ensure_future(doing)
    try:
        for _ in range(patience):
            done, _running = await asyncio.wait((task,), timeout=1)
            if done:
                return task.result()
        raise asyncio.TimeoutError
    finally:
        task.cancel()


async def _ask(address: Address, data: bytes) -> Reply:
    connection = await connect(address)
    try:
        await connection.send(data)
        return await connection.reply()
    finally:
        connection.close()
