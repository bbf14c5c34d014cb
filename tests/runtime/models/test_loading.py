"""The application over an engine that is made to wait: what is answered while it loads, and after that failed."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from pathlib import Path

import pytest

from runtime.console import loading as bar_of_loading
from runtime.console.aside import Aside
from runtime.engine.engine import Engine
from runtime.engine.errors import ModelLoadFailed
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel, loaded_share
from support.apps import Ask, with_app
from support.fakes import FakeContext

REQUESTS = [
    ("GET", "/health", b""),
    ("GET", "/v1/models", b""),
    ("POST", "/completion", b'{"prompt": "1"}'),
    ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": "1"}]}'),
]


def test_503_while_the_model_loads_then_200() -> None:
    loaded, loading = threading.Event(), Loading()
    loading.report(0.25)

    def open_context() -> FakeContext:
        loaded.wait()
        return FakeContext()

    async def body(ask: Ask, engine: Engine) -> None:
        for method, path, data in REQUESTS:
            status, headers, answer = await ask(method, path, data)
            assert status == 503
            assert headers["retry-after"] == "1"
            error = json.loads(answer)["error"]
            assert error.pop("progress", None) == (0.25 if path == "/health" else None)
            assert error == {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        loaded.set()
        await asyncio.wrap_future(engine.ready)
        assert (await ask("GET", "/health", b""))[0] == 200
        _status, _headers, answer = await ask("POST", "/completion", b'{"prompt": "1 2", "n_predict": 3}')
        assert json.loads(answer)["content"] == "3 4 5 "

    with_app(open_context, body, loading)


class Terminal(io.StringIO):
    """One that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_seen_while_models_load_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bar_of_loading, "_SOON", 0)
    large, small = (
        ServedModel(name, Weights(Path("fake.gguf")), size, "", Engine(FakeContext), Loading())
        for name, size in (("large", 3_000_000_000), ("small", 1_000_000_000))
    )
    small.loading.report(1.0)
    assert loaded_share([large, small]) == 0.25
    seen, unseen = Terminal(), io.StringIO()

    async def load(stream: io.StringIO) -> None:
        async with bar_of_loading.loading_shown([large, small], Aside(stream)):
            while stream is seen and not seen.getvalue():
                await asyncio.sleep(0)

    asyncio.run(load(seen))
    asyncio.run(load(unseen))
    assert "Loading large, small  [######..................] 25% of 4.0 GB" in seen.getvalue()
    assert seen.getvalue().endswith("\r\x1b[K")
    assert unseen.getvalue() == ""


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
