"""The application over an engine that is made to wait: what is answered while it loads, and after that failed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fakes import FakeContext

from runtime.engine.backend import Weights
from runtime.engine.engine import Engine
from runtime.engine.errors import ModelLoadFailed
from runtime.loading import ServedModel
from runtime.server.app import build_app
from runtime.settings import Settings

Ask = Callable[[str, str, bytes], Awaitable[tuple[int, dict[str, str], str]]]


def with_app(open_context: Callable[[], Any], body: Callable[[Ask, Engine], Awaitable[None]]) -> None:
    """Serve the application on a free port over an engine that is opened by `open_context`."""
    from aiohttp import web

    async def main() -> None:
        engine = Engine(open_context)
        engine.start()
        served = ServedModel("fake", Weights(Path("fake.gguf")), 0, "", engine, threading.Event())
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


REQUESTS = [
    ("GET", "/health", b""),
    ("GET", "/v1/models", b""),
    ("POST", "/completion", b'{"prompt": "1"}'),
    ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": "1"}]}'),
]


def test_503_while_the_model_loads_then_200() -> None:
    loaded = threading.Event()

    def open_context() -> FakeContext:
        loaded.wait()
        return FakeContext()

    async def body(ask: Ask, engine: Engine) -> None:
        for method, path, data in REQUESTS:
            status, headers, answer = await ask(method, path, data)
            assert status == 503
            assert headers["retry-after"] == "1"
            assert json.loads(answer)["error"] == {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        loaded.set()
        await asyncio.wrap_future(engine.ready)
        assert (await ask("GET", "/health", b""))[0] == 200
        _status, _headers, answer = await ask("POST", "/completion", b'{"prompt": "1 2", "n_predict": 3}')
        assert json.loads(answer)["content"] == "3 4 5 "

    with_app(open_context, body)


def test_500_after_loading_failed() -> None:
    def open_context() -> FakeContext:
        raise ModelLoadFailed(Path("fake.gguf"), "unknown model architecture: 'new'")

    async def body(ask: Ask, engine: Engine) -> None:
        await asyncio.wait([asyncio.wrap_future(engine.ready)])
        status, _headers, answer = await ask("GET", "/health", b"")
        assert status == 500
        assert "unknown model architecture" in json.loads(answer)["error"]["message"]

    with_app(open_context, body)


def test_an_error_in_the_middle_of_a_stream_is_an_event() -> None:
    """The status has been sent by then, so the error comes as the last event, in the error object's form."""

    async def body(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)
        data = b'{"prompt": "1", "stream": true, "n_predict": 9}'
        _status, _headers, answer = await ask("POST", "/completion", data)
        lines = answer.splitlines()
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert [event.get("content") for event in events[:-1]] == ["2 ", "3 "]
        assert events[-1]["error"]["code"] == 500
        assert "a test said so" in events[-1]["error"]["message"]

    with_app(lambda: FakeContext(fail_at=3), body)
