"""Told to stop, the server finishes what has begun, begins nothing else, and says so to whoever asks."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

from support.bundles import Server
from support.raw_http import ask
from support.waiting import wait_until

LONG = json.dumps({"prompt": "The", "ignore_eos": True, "stream": True}).encode()


def test_new_work_is_refused_while_the_old_is_finished(demo: Path, warm_cache: Path) -> None:
    flags = ("--drain-seconds", "60", "--ctx-size", "1000000")
    with Server(demo, *flags, cache=warm_cache) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as running:
            running.sendall(
                b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(LONG), LONG)
            )
            assert running.recv(1000).startswith(b"HTTP/1.1 200")
            assert server.get("/health?ready")[0] == 200
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: server.get("/health?ready")[0] == 503)
            assert server.get("/health")[0] == 200
            status, headers, text = ask(server.port, "/completion", "POST", b'{"prompt": "x", "n_predict": 1}')
            assert (status, headers["retry-after"]) == (503, "1"), text
            assert "stopping" in json.loads(text)["error"]["message"]
            assert running.recv(100_000), "it goes on"
        assert server.process.wait(timeout=20) == 0


STREAMS = [
    ("/completion", {"prompt": "The"}),
    ("/v1/completions", {"prompt": "The"}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Go"}]}),
    ("/v1/messages", {"max_tokens": 10**6, "messages": [{"role": "user", "content": "Go"}]}),
    ("/api/generate", {"prompt": "The"}),
]


def test_what_is_ended_says_that_the_server_is_shutting_down(demo: Path, warm_cache: Path) -> None:
    """In each dialect, in the stream: nothing was wrong, and standard error tells of nothing."""
    flags = ("--drain-seconds", "0", "--ctx-size", "1000000", "--parallel", str(len(STREAMS)))
    with Server(demo, *flags, cache=warm_cache) as server:
        streams = []
        for path, body in STREAMS:
            data = json.dumps({**body, "ignore_eos": True, "stream": True}).encode()
            stream = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            stream.sendall(head % (path.encode(), len(data)) + data)
            assert stream.recv(1000).startswith(b"HTTP/1.1 200"), path
            streams.append(stream)
        server.process.send_signal(signal.SIGTERM)
        for (path, _body), stream in zip(STREAMS, streams, strict=True):
            with stream, stream.makefile("rb") as answer:
                last = answer.read()[-1000:]
            assert b"the server is shutting down" in last, (path, last)
            assert b"standard error" not in last, (path, last)
        assert server.process.wait(timeout=20) == 0
