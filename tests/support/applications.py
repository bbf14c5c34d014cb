"""The application over an engine of the test's own, without a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runtime.engine.backend import Weights
from runtime.engine.engine import Engine
from runtime.models.served import Loading, ServedModel
from runtime.server.app import build_app
from runtime.settings import Settings

Ask = Callable[[str, str, bytes], Awaitable[tuple[int, dict[str, str], str]]]


def with_app(
    open_context: Callable[[], Any], body: Callable[[Ask, Engine], Awaitable[None]], loading: Loading | None = None
) -> None:
    """Serve the application on a free port over an engine that is opened by `open_context`."""
    from aiohttp import web

    async def main() -> None:
        engine = Engine(open_context)
        engine.start()
        served = ServedModel("fake", Weights(Path("fake.gguf")), 1000, "", engine, loading or Loading())
        runner = web.AppRunner(build_app([served], Settings()), handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            await body(lambda method, path, data: ask(port, method, path, data), engine)
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
