"""What a stream says before there is anything to say: its headers at once, then that somebody is there."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import AsyncExitStack
from typing import Any

import pytest

from runtime.server.beside import LARGE
from support.apps import TextModel, ask, opened, unchunked, with_port
from support.fakes import FakeContext

USER = [{"role": "user", "content": "hi"}]
COMMENT = b": ping\n\n"
EVENT = b'event: ping\ndata: {"type":"ping"}\n\n'

STREAMS: list[tuple[str, Any, bytes]] = [
    ("/completion", {"prompt": "hi", "n_predict": 2}, b""),
    ("/api/generate", {"prompt": "hi", "options": {"num_predict": 2}}, b""),
    ("/api/chat", {"messages": USER, "options": {"num_predict": 2}}, b""),
    ("/v1/completions", {"prompt": "hi", "max_tokens": 2}, COMMENT),
    ("/v1/chat/completions", {"messages": USER, "max_tokens": 2}, COMMENT),
    ("/chat/completions", {"messages": USER, "max_tokens": 2, "n": 2}, COMMENT),
    ("/v1/responses", {"input": "hi", "max_output_tokens": 2}, COMMENT),
    ("/v1/messages", {"messages": USER, "max_tokens": 2}, EVENT),
]
"""Paths, what is asked there besides a stream, and what is sent while nothing comes."""


def silent_context(**more: Any) -> FakeContext:
    """Computes nothing until its gate is opened."""
    return FakeContext(n_ctx=2000, n_batch=512, model=TextModel(), gate=threading.Semaphore(0), **more)


def test_headers_come_before_anything_is_computed() -> None:
    """All at once, so that some wait for a slot: being admitted to the queue is enough."""
    context = silent_context(n_slots=2)

    async def body(port: int) -> None:
        async with AsyncExitStack() as stack:
            for path, asked, _ping in STREAMS:
                answer = await stack.enter_async_context(opened(port, path, asked | {"stream": True}))
                assert answer.status == 200, path
                assert answer.headers["x-accel-buffering"] == "no"
                assert answer.headers["cache-control"] == "no-cache"
            assert context.batches == []

    with_port(context, body)


@pytest.mark.parametrize("odd", [{}, {"max_tokens": 2.0, "n_predict": 2.0}], ids=["as it is meant", "as it is not"])
def test_large_bodies_are_read_like_small_ones(odd: dict[str, Any]) -> None:
    """What they carry along is not looked at; and `odd` is taken, by the parser that looks once more."""
    context = FakeContext(n_ctx=2000, n_batch=512, model=TextModel())
    rest = {"nobodys": "a" * (LARGE + 1), "quoted": ['\\"[', {}]}

    async def body(port: int) -> None:
        for path, asked, _ping in STREAMS:
            status, _headers, said = await ask(
                port, "POST", path, json.dumps(asked | {"stream": False} | odd | rest).encode()
            )
            assert status == 200, (path, said)

    with_port(context, body)


def test_who_waits_hears_that_somebody_is_there() -> None:
    """In the form that each dialect has for it. Those that have none say nothing meanwhile, and go on as if nothing."""
    context = silent_context(n_slots=16)

    async def body(port: int) -> None:
        async with AsyncExitStack() as stack:
            answers = [
                (path, ping, await stack.enter_async_context(opened(port, path, asked | {"stream": True})))
                for path, asked, ping in STREAMS
            ]
            for _path, ping, answer in answers:
                for _ in range(3 if ping else 0):
                    await answer.reader.readuntil(ping)
            assert context.gate is not None
            context.gate.release(1000)
            for path, ping, answer in answers:
                rest = await answer.rest()
                assert rest.endswith(b"0\r\n\r\n"), path
                if not ping:
                    lines = unchunked(rest).splitlines()
                    assert [line for line in lines if not line.startswith((b"data: {", b"{")) and line] == [], path

    with_port(context, body, ping_seconds=0.005)


def test_pings_come_between_tokens_too() -> None:
    context = silent_context()

    async def body(port: int) -> None:
        asked = {"messages": USER, "max_tokens": 3, "stream": True}
        async with opened(port, "/v1/chat/completions", asked) as answer:
            assert context.gate is not None
            context.gate.release()
            await answer.reader.readuntil(b'"content":"')
            await answer.reader.readuntil(COMMENT)
            context.gate.release(1000)
            assert b"data: [DONE]" in await answer.rest()

    with_port(context, body, ping_seconds=0.005)


@pytest.mark.parametrize(("path", "asked", "_ping"), STREAMS, ids=[path for path, _asked, _ping in STREAMS])
def test_what_is_known_before_queueing_keeps_its_status(path: str, asked: Any, _ping: bytes) -> None:
    context = silent_context(n_slots=1)

    async def body(port: int) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(2):  # one may have been taken in, the next one waits
                await stack.enter_async_context(opened(port, "/completion", {"prompt": "x", "stream": True}))
            many = [
                await stack.enter_async_context(opened(port, path, asked | {"stream": True, "n": 1})) for _ in range(4)
            ]
            assert many[-1].status == 503
            assert many[-1].headers["retry-after"] == "1"

    with_port(context, body, max_waiting=2)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/completion", {"prompt": "hi", "grammar": "root ::= ("}),
        ("/v1/chat/completions", {"messages": USER, "grammar": "root ::= root"}),
        ("/v1/chat/completions", {"messages": USER, "max_tokens": -2}),
        ("/v1/messages", {"messages": USER, "max_tokens": -1}),
        ("/api/chat", {"messages": USER, "options": {"repeat_last_n": -2}}),
    ],
)
def test_a_bad_request_for_a_stream_is_400(path: str, asked: Any) -> None:
    async def body(port: int) -> None:
        async with opened(port, path, asked | {"stream": True}) as answer:
            assert answer.status == 400
            assert json.loads(await answer.rest())["error"]

    with_port(silent_context(), body)


def test_who_leaves_before_the_first_token_is_not_waited_for() -> None:
    context = silent_context(n_slots=1)

    async def body(port: int) -> None:
        asked = {"prompt": "hi", "stream": True, "n_predict": 2}
        async with opened(port, "/v1/completions", asked):
            pass
        assert context.gate is not None
        context.gate.release(1000)
        async with opened(port, "/completion", {"prompt": "later", "n_predict": 1}) as answer:
            assert answer.status == 200
            await asyncio.wait_for(answer.rest(), 10)

    with_port(context, body, ping_seconds=0.005)
