"""What one client can take of the memory and the time of all: refused before it is taken, and given back."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from support.bundles import CHAT, Server
from support.places import ROOT
from support.processes import memory_of, peak_of
from support.raw_http import ask
from support.waiting import wait_until

MEGABYTE = 1_000_000
WORDS = "word " * (4 * MEGABYTE)
"""20 MB, of which llama.cpp would make 800 to say how many tokens it has."""

LONG: list[tuple[str, str, Callable[[], object], str]] = [
    ("a text to count", "/tokenize", lambda: {"content": WORDS}, "exceeds"),
    ("a prompt", "/completion", lambda: {"prompt": WORDS}, "exceeds"),
    ("a prompt of OpenAI's", "/v1/completions", lambda: {"prompt": WORDS}, "context length"),
    ("a message", CHAT, lambda: {"messages": [{"role": "user", "content": WORDS}]}, "context length"),
    ("a message of Anthropic's", "/v1/messages/count_tokens", lambda: said(WORDS), "too long"),
    ("a message of Ollama's", "/api/chat", lambda: said(WORDS), "exceeds"),
    ("a prompt of Ollama's", "/api/generate", lambda: {"prompt": WORDS, "raw": True}, "exceeds"),
    ("a text for a vector", "/v1/embeddings", lambda: {"input": WORDS}, "exceeds"),
    ("texts in turn", "/tokenize", lambda: {"content": [WORDS[:MEGABYTE]] * 20}, "at once"),
    ("texts for vectors", "/v1/embeddings", lambda: {"input": ["word " * 200] * 20_000}, "2,048 are needed"),
    ("long texts for vectors", "/v1/embeddings", lambda: {"input": ["word " * 8_000] * 500}, "at once"),
    ("texts of Ollama's", "/api/embed", lambda: {"input": ["word " * 8_000] * 500}, "at once"),
    ("objects without end", CHAT, lambda: b'{"messages":[' + b'{"role":"user"},' * 10**6 + b"{}]}", "objects"),
    ("keys without end", CHAT, lambda: {"x": {str(i): i for i in range(10**6)}, "messages": []}, "values"),
    ("numbers without end", "/completion", lambda: {"prompt": [1] * 5 * 10**6}, "values"),
]


def said(text: str) -> dict[str, object]:
    return {"model": "demo", "max_tokens": 1, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(("path", "body", "why"), [row[1:] for row in LONG], ids=[row[0] for row in LONG])
def test_what_cannot_fit_is_refused_for_a_few_times_its_size(
    server: Server, path: str, body: Callable[[], object], why: str
) -> None:
    made = body()
    data = made if isinstance(made, bytes) else json.dumps(made).encode()
    peak = peak_of(server.process.pid)
    status, answer = server.post(path, data)
    assert status == 400, answer
    assert why in json.dumps(answer)
    assert peak() < 6 * len(data) + 20 * MEGABYTE


def test_a_query_counts_once_for_each_document(server: Server) -> None:
    status, answer = server.post("/rerank", {"query": "word " * 10_000, "documents": ["a"] * 1000})
    assert status == 400
    assert "at once" in answer["error"]["message"]


def test_long_texts_of_ollamas_are_cut_before_they_are_read(server: Server) -> None:
    peak = peak_of(server.process.pid)
    status, answer = server.post("/api/embed", {"input": WORDS[: 10 * MEGABYTE]})
    assert status == 200, answer
    assert peak() < 100 * MEGABYTE


def test_a_body_that_unpacks_without_end_takes_no_more_than_one_may(server: Server) -> None:
    data = gzip.compress(b'{"prompt": "' + b"a" * (300 * MEGABYTE) + b'"}')
    peak = peak_of(server.process.pid)
    status, _headers, answer = ask(server.port, "/completion", "POST", data, Content_Encoding="gzip")
    assert status == 413
    assert "larger than" in answer
    assert peak() < 160 * MEGABYTE


def test_memory_comes_back_after_large_bodies(server: Server) -> None:
    before = memory_of(server.process.pid)
    status, _answer = server.post("/tokenize", {"content": "word " * 200_000})
    assert status == 200
    wait_until(lambda: memory_of(server.process.pid) < before + 15 * MEGABYTE)


def test_large_texts_keep_nobody_waiting_who_is_not_large(server: Server) -> None:
    """Six of them used to take all threads there are."""
    large = {"content": ["word " * 60_000] * 8}
    asked = [threading.Thread(target=server.post, args=("/tokenize", large)) for _ in range(6)]
    for one in asked:
        one.start()
    status, _answer = server.post("/tokenize", {"content": "word " * 2_000})
    assert status == 200
    assert any(one.is_alive() for one in asked)
    for one in asked:
        one.join()


STUCK = """
import signal, threading
from runtime.server import serve
serve.CLOSE_SECONDS = serve.END_SECONDS = 0.05
import asyncio
async def main():
    stop = serve._stop_on_signals(0.05)
    print("ready", flush=True)
    await stop.wait()
    await asyncio.to_thread(threading.Event().wait)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_time_that_a_signal_leaves_ends_whatever_runs(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(20) == 0
