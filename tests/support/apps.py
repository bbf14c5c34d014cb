"""The application on a free port, over the fake engine: for what a real model is too quick or too slow to show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.engine.engine import Engine
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.server.app import build_app
from runtime.settings import Settings
from support.fakes import FakeContext, FakeModel


class TextModel(FakeModel):
    """The counting model, for any text: each character is a token."""

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(ord(character) % 100 + 1 for character in text)


def with_port(
    context: FakeContext,
    body: Callable[[int], Awaitable[None]],
    *,
    ping_seconds: float = 1000.0,
    max_waiting: int = 100,
) -> None:
    """Serve the application, and run `body` with its port. A gate of the context's is open afterwards."""
    from aiohttp import web

    async def main() -> None:
        engine = Engine(lambda: context, max_waiting=max_waiting)  # type: ignore[arg-type,return-value]
        engine.start()
        served = ServedModel("fake", Weights(Path("fake.gguf")), 1000, "", engine, Loading())
        app = build_app([served], Settings(), ping_seconds=ping_seconds)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await asyncio.wrap_future(engine.ready)
            await asyncio.wait_for(body(runner.addresses[0][1]), 30)
        finally:
            engine.stop()
            if context.gate is not None:
                context.gate.release(1000)
            await runner.cleanup()
            engine.join(10)

    asyncio.run(main())


Ask = Callable[[str, str, bytes], Awaitable[tuple[int, dict[str, str], str]]]


def with_app(
    open_context: Callable[[], Any], body: Callable[[Ask, Engine], Awaitable[None]], loading: Loading | None = None
) -> None:
    """Serve the application on a free port over an engine that is opened by `open_context`."""

    async def asking(port: int, engine: Engine) -> None:
        await body(lambda method, path, data: ask(port, method, path, data), engine)

    with_engine_port(open_context, asking, loading)


def with_engine_port(
    open_context: Callable[[], Any], body: Callable[[int, Engine], Awaitable[None]], loading: Loading | None = None
) -> None:
    """The same; `body` is given the port."""
    from aiohttp import web

    async def main() -> None:
        engine = Engine(open_context)
        engine.start()
        served = ServedModel("fake", Weights(Path("fake.gguf")), 1000, "", engine, loading or Loading())
        runner = web.AppRunner(build_app([served], Settings()), handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await body(runner.addresses[0][1], engine)
        finally:
            engine.stop()
            await runner.cleanup()
            engine.join(10)

    asyncio.run(main())


async def ask(port: int, method: str, path: str, data: bytes) -> tuple[int, dict[str, str], str]:
    """(status, headers, body as it came) of one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    answer = await reader.read()
    writer.close()
    top, _, content = answer.partition(b"\r\n\r\n")
    status, *headers = top.decode().split("\r\n")
    pairs = (header.split(": ", 1) for header in headers)
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, content.decode()


@dataclass
class Opened:
    """An answer of which the headers have come, by their names in lower case."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader

    async def rest(self) -> bytes:
        """The body, to its end; chunks are not put together."""
        return await self.reader.read()


def unchunked(data: bytes) -> bytes:
    """What is in whole chunks (RFC 9112, 7.1)."""
    content = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        content += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return content


@asynccontextmanager
async def opened(port: int, path: str, body: Any) -> AsyncIterator[Opened]:
    """What is answered to `body`, which is sent as JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    try:
        status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = (header.split(": ", 1) for header in headers)
        yield Opened(int(status.split()[1]), {name.lower(): value for name, value in pairs}, reader)
    finally:
        writer.close()
