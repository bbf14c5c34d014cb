"""Answers as servers and proxies write them, and what is none."""

from __future__ import annotations

import asyncio

import pytest

from runtime.server.wire import Answered, BrokenOff, Wire

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nRetry-After: "
WHOLE: list[tuple[str, bytes, Answered, bool]] = [
    ("with a length", OK + b"Content-Length: 2\r\n\r\n{}", Answered(200, b"{}", None), True),
    ("in chunks", CHUNKED + b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n", Answered(200, b"{}", None), True),
    ("with a trailer", CHUNKED + b"2\r\n{}\r\n0\r\nA: b\r\n\r\n", Answered(200, b"{}", None), True),
    ("after a word", b"HTTP/1.1 100 Go\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", Answered(200, b"", None), True),
    ("for the last time", OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", Answered(200, b"", None), False),
    ("too early", EARLY + b"7\r\n\r\n", Answered(503, b"", 7), True),
    ("at a date", EARLY + b"Fri, 1 Jan\r\n\r\n", Answered(503, b"", None), True),
]  # fmt: skip
BROKEN = [
    b"",
    b"HTTP/1.1 200",
    b"nonsense\r\n\r\n",
    OK + b"\r\n",
    OK + b"Content-Length: 3\r\n\r\n{}",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: 9999999999999\r\n\r\n",
    OK + b"Content-Length: x\r\n\r\n",
    CHUNKED,
    CHUNKED + b"2\r\n{}\r\n",
    CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"ffffffffff\r\n",
    OK + b"A: " + b"b" * 100_000,
]


def asked(answer: bytes) -> tuple[Answered, bool, bytes]:
    """What a server is understood as that says `answer`, whether it would be asked again, and what it was sent."""
    sent = bytearray()

    async def main() -> tuple[Answered, bool]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sent.extend(await reader.readuntil(b"{}"))
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            wire = Wire(*await asyncio.open_connection(*server.sockets[0].getsockname()), "Host: a\r\nB: c\r\n", 10)
            try:
                return await asyncio.wait_for(wire.ask("/path", b"{}"), 10), wire.is_open
            finally:
                wire.close()

    answered, is_open = asyncio.run(main())
    return answered, is_open, bytes(sent)


@pytest.mark.parametrize(("answer", "expected", "stays"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE])
def test_answers(answer: bytes, expected: Answered, stays: bool) -> None:
    answered, is_open, sent = asked(answer)
    assert (answered, is_open) == (expected, stays)
    assert sent == b"POST /path HTTP/1.1\r\nHost: a\r\nB: c\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("answer", BROKEN)
def test_what_is_no_whole_answer_is_none(answer: bytes) -> None:
    with pytest.raises((BrokenOff, ConnectionError)):
        asked(answer)
