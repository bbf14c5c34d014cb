"""HTTP that nobody should send, and clients that take their time: all are answered or left, and no other notices."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.apps import unchunked
from support.bundles import Server, clean_environment
from support.raw_http import ask, exchange
from support.waiting import wait_until

# -- slow clients, and bodies that are not read ---------------------------------------------------------------


@pytest.mark.parametrize(
    "head", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "], ids=["silent", "line", "header"]
)
def test_a_head_that_does_not_end_is_not_waited_for(guarded: tuple[Server, Path], head: bytes) -> None:
    assert exchange(guarded[0].port, head) == b""


def test_nor_is_a_second_one(guarded: tuple[Server, Path]) -> None:
    with socket.create_connection(("127.0.0.1", guarded[0].port), timeout=30) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET /hea")
        with suppress(ConnectionResetError):
            assert raw.recv(1000) == b""


def test_a_body_that_stops_coming_is_answered(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: perch\r\nContent-Length: 1000\r\n\r\n"
    answer = exchange(guarded[0].port, head, b'{"prompt"')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"--timeout" in answer


def test_who_does_not_read_is_left(guarded: tuple[Server, Path]) -> None:
    """Pages are asked for, one after the other, until all that lies between is full."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", guarded[0].port))
        raw.settimeout(0.5)
        try:
            for _ in range(1000):
                raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        except (TimeoutError, ConnectionError):
            pass
        poll = select.poll()
        poll.register(raw, 0)
        assert poll.poll(20_000), "the connection is still there"
    assert ask(guarded[0].port, "/health")[0] == 200


def test_a_body_that_is_too_large_is_not_read_first(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: perch\r\nContent-Length: 99999999999\r\n\r\n"
    assert exchange(guarded[0].port, head).startswith(b"HTTP/1.1 413 ")


def test_a_refused_body_is_not_read(guarded: tuple[Server, Path]) -> None:
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    assert exchange(guarded[0].port, head).startswith(b"HTTP/1.1 401 ")


# -- hostile HTTP ---------------------------------------------------------------------------------------------

TOP = b"Host: localhost\r\nConnection: close\r\n"
POST = b"POST /completion HTTP/1.1\r\n" + TOP
HOSTILE: list[tuple[str, bytes, int]] = [
    ("no host", b"GET /health HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", 400),
    ("HTTP/1.0 has none", b"GET /health HTTP/1.0\r\n\r\n", 200),
    ("NUL in a header", b"GET /health HTTP/1.1\r\n" + TOP + b"X: a\0b\r\n\r\n", 400),
    ("NUL in the path", b"GET /\0 HTTP/1.1\r\n" + TOP + b"\r\n", 400),
    ("NUL in the path, escaped", b"GET /%00 HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("a path that is no UTF-8", b"GET /%ff%fe HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("a long path", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + TOP + b"\r\n", 431),
    ("a long header", b"GET /health HTTP/1.1\r\n" + TOP + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ("many headers", b"GET /health HTTP/1.1\r\n" + TOP + b"X: y\r\n" * 500 + b"\r\n", 400),
    ("a header over two lines", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    ("no such method", b"BREW /health HTTP/1.1\r\n" + TOP + b"\r\n", 400),
    ("CONNECT", b"CONNECT localhost:80 HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + TOP + b"\r\n", 404),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 100, 400),
    ("line ends without CR", b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    ("a length below 0", POST + b"Content-Length: -5\r\n\r\n", 400),
    ("a length twice", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    ("a length and chunks", POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunks that are none", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", 400),
    ("gzip that is none", POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde", 400),
    ("an expectation nobody knows", POST + b"Expect: magic\r\nContent-Length: 2\r\n\r\n{}", 417),
]


@pytest.mark.parametrize(("request_", "status"), [r[1:] for r in HOSTILE], ids=[r[0] for r in HOSTILE])
def test_hostile_http_is_answered(server: Server, request_: bytes, status: int) -> None:
    before = len(server.said)
    answer = exchange(server.port, request_)
    assert int(answer.split()[1]) == status, answer
    if status in (400, 404, 431):
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == status
        assert b"aiohttp" not in answer
    assert server.get("/health")[0] == 200
    assert server.said[before:] == [], "a client's mistake is nothing to say"


def test_requests_sent_ahead_are_answered_in_turn(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    answer = exchange(server.port, (one + b"\r\n") * 100 + one + b"Connection: close\r\n\r\n")
    assert answer.count(b'{"status":"ok"}') == 101


@pytest.mark.parametrize("streams", [False, True])
def test_half_a_connection_is_enough_for_the_answer(server: Server, streams: bool) -> None:
    body = json.dumps({"prompt": "Once", "n_predict": 200, "ignore_eos": True, "stream": streams}).encode()
    answer = exchange(server.port, POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body), closes_sending=True)
    while answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    if streams:
        assert b'"stop":true' in unchunked(content)
    else:
        assert json.loads(content)["tokens_predicted"] == 200


@pytest.mark.parametrize("streams", [False, True])
def test_who_ends_the_whole_connection_has_left(server: Server, streams: bool) -> None:
    body = json.dumps({"prompt": "Once", "n_predict": 10**6, "ignore_eos": True, "stream": streams, "n_keep": 0})
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body.encode()))
        wait_until(lambda: any(slot["is_processing"] for slot in server.get("/slots")[1]))
    wait_until(lambda: not any(slot["is_processing"] for slot in server.get("/slots")[1]), 20)


def test_half_a_request_on_half_a_connection_is_nothing(server: Server) -> None:
    assert exchange(server.port, POST + b"Content-Length: 100\r\n\r\n{", closes_sending=True) == b""


def test_one_client_too_many_is_told(demo: Path, warm_cache: Path) -> None:
    """With 80 files, there are 16 connections."""
    command = f"ulimit -n 80 && exec '{demo}' --server --nobrowser --port 0"
    process = subprocess.Popen(
        ["sh", "-c", command], env=clean_environment(warm_cache), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        port = next(int(line.split(":")[-1].split()[0]) for line in process.stderr if "Serving on" in line)
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        assert ask(port, "/health")[0] == 200, "who says nothing makes room"
        crowd = []
        for _ in range(16):
            crowd.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            crowd[-1].sendall(POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
            assert crowd[-1].recv(100).startswith(b"HTTP/1.1 100"), "it is waited for"
        status, headers, answer = ask(port, "/health")
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(answer)["error"]["type"] == "unavailable_error"
        for one in (*silent, *crowd):
            one.close()
        deadline = time.monotonic() + 20
        while ask(port, "/health")[0] != 200:
            assert time.monotonic() < deadline
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
