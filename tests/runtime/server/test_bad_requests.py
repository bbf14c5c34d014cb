"""Requests that are wrong, and values that nobody means: the real demo bundle answers clearly, and goes on."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from support.bundles import CHAT, Server

HELLO = [{"role": "user", "content": "hello"}]

DOUBLING = 'root ::= "a" root "b" | "a" root "c"'
"""Twice as many ways to read it after each letter, and llama.cpp follows all of them."""

BAD_REQUESTS: list[tuple[str, str, Any, int, str]] = [
    ("not JSON", "/completion", b"{", 400, "not valid JSON"),
    ("no body", "/completion", b"", 400, "not valid JSON"),
    ("not an object", "/completion", b"[1]", 400, "Expected `object`"),
    ("deep nesting", "/completion", b'{"prompt":' + b"[" * 100_000, 400, ""),
    ("wrong type, named", "/completion", {"prompt": "x", "n_predict": "many"}, 400, "n_predict"),
    ("n_predict below -1", "/completion", {"prompt": "x", "n_predict": -2}, 400, "n_predict"),
    ("no such token", "/completion", {"prompt": [10**6]}, 400, "token"),
    ("penalty of zero", "/completion", {"prompt": "x", "repeat_penalty": 0}, 400, "repeat_penalty"),
    ("negative window", "/completion", {"prompt": "x", "repeat_last_n": -2}, 400, "repeat_last_n"),
    ("stop strings without end", "/completion", {"prompt": "x", "stop": ["s"] * 10_000}, 400, "stop"),
    ("a stop string without end", CHAT, {"messages": HELLO, "stop": "s" * 10**6}, 400, "stop"),
    (
        "arguments nested without end, which are taken as text that is too long",
        CHAT,
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[" * 5000}}]}]},
        400,
        "context",
    ),
    ("a grammar that does not parse", "/completion", {"prompt": "x", "grammar": "root ::= ("}, 400, "grammar"),
    ("a grammar that goes round", "/completion", {"prompt": "x", "grammar": "root ::= root"}, 400, "grammar"),
    ("a grammar without a root", "/completion", {"prompt": "x", "grammar": 'a ::= "x"'}, 400, "grammar"),
    ("a grammar whose ways double", "/completion", {"prompt": "x", "grammar": DOUBLING, "n_predict": 200}, 400, "ways"),
    ("empty prompt", "/completion", {"prompt": ""}, 400, "empty"),
    ("prompt over the context", "/completion", {"prompt": "word " * 30_000}, 400, "context"),
    ("no messages", CHAT, {"messages": []}, 400, "messages"),
    ("messages of a wrong type", CHAT, {"messages": "hi"}, 400, "messages"),
    ("a picture", CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "text only"),
    ("too many answers", CHAT, {"messages": HELLO, "n": 1000}, 400, "n: must be"),
    ("no answers", "/completion", {"prompt": "x", "n_cmpl": 0}, 400, "n: must be"),
    ("too many probabilities", "/completion", {"prompt": "x", "n_probs": 10**9}, 400, "n_probs"),
    ("too many logprobs", CHAT, {"messages": HELLO, "logprobs": True, "top_logprobs": 21}, 400, "top_logprobs"),
    ("top_logprobs without logprobs", CHAT, {"messages": HELLO, "top_logprobs": 2}, 400, "top_logprobs"),
    ("a bias that is no number", "/completion", {"prompt": "x", "logit_bias": [[1, True]]}, 400, "logit_bias"),
    ("a bias of a wrong type", "/completion", {"prompt": "x", "logit_bias": [[1, "much"]]}, 400, "logit_bias"),
    ("a lazy grammar without triggers", "/completion", {"prompt": "x", "grammar_lazy": True}, 400, "grammar_triggers"),
    (
        "a trigger that is a pattern",
        "/completion",
        {"prompt": "x", "grammar_lazy": True, "grammar_triggers": [{"type": 2, "value": "(a+)+$"}]},
        400,
        "grammar_triggers",
    ),
    ("a schema and a grammar", "/completion", {"prompt": "x", "json_schema": {}, "grammar": "x"}, 400, "json_schema"),
    ("a schema that is none", "/completion", {"prompt": "x", "json_schema": {"type": "shape"}}, 400, "shape"),
    (
        "a schema that goes round",
        CHAT,
        {"messages": HELLO, "response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
        400,
        "schema",
    ),
    (
        "a format without its schema",
        CHAT,
        {"messages": HELLO, "response_format": {"type": "json_schema"}},
        400,
        "schema",
    ),
    ("a format nobody knows", CHAT, {"messages": HELLO, "response_format": {"type": "xml"}}, 400, "response_format"),
    ("n_keep below -1", "/completion", {"prompt": "x", "n_keep": -2}, 400, "n_keep"),
    ("no such adapter", "/completion", {"prompt": "x", "lora": [{"id": 0, "scale": 1.0}]}, 400, "adapter"),
    ("nothing breaks a repetition", "/completion", {"prompt": "x", "dry_sequence_breakers": []}, 400, "dry_sequence"),
    ("no text to embed", "/v1/embeddings", {"input": []}, 400, "input"),
    ("no input at all", "/v1/embeddings", {"model": "x"}, 400, "input"),
    ("no such token to embed", "/embedding", {"content": [10**6]}, 400, "token"),
    ("a long text to embed", "/v1/embeddings", {"input": "word " * 3000}, 400, "at most"),
    ("too many dimensions", "/v1/embeddings", {"input": "x", "dimensions": 10**6}, 400, "dimensions"),
    ("an encoding nobody knows", "/v1/embeddings", {"input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
    ("a model that cannot rerank", "/rerank", {"query": "a", "documents": ["b"]}, 501, "rerank"),
    ("no documents", "/rerank", {"query": "a", "documents": []}, 400, "documents"),
    ("no folder for states", "/slots/0?action=save", {"filename": "x"}, 501, "--slot-save-path"),
    ("an action nobody knows", "/slots/0?action=burn", {}, 400, "action"),
    ("no such slot", "/slots/99?action=erase", {}, 404, "slot"),
    ("an adapter that is not there", "/lora-adapters", [{"id": 3, "scale": 1}], 400, "adapter"),
    ("unknown route", "/v1/nothing", {}, 404, "File Not Found"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"), [r[1:] for r in BAD_REQUESTS], ids=[r[0] for r in BAD_REQUESTS]
)
def test_bad_requests_are_answered_clearly(server: Server, path: str, body: Any, status: int, says: str) -> None:
    got, answer = server.post(path, body)
    assert got == status, answer
    assert says in answer["error"]["message"]
    # OpenAI's clients look for a word where a text is too long, llama.cpp's for the number.
    overflows = says == "context" and path.startswith("/v1")
    assert answer["error"]["code"] == ("context_length_exceeded" if overflows else status)
    assert server.get("/health")[0] == 200


HOSTILE = [
    {"seed": -9007199254740991},
    {"seed": 2**63 - 1},
    {"n_predict": 0},
    {"top_k": -(2**31)},
    {"top_k": 2**40},
    {"temperature": -5.0},
    {"temperature": 1e30},
    {"min_keep": -1},
    {"min_keep": 2**31},
    {"top_p": 0.0},
    {"stop": ""},
    {"stop": [""]},
    {"unknown": {"nested": []}},
    {"temperature": None, "stop": None, "seed": None},
    {"mirostat": 1},
    {"mirostat": 2},
    {"dry_multiplier": 0.8, "dry_base": 0.0},
    {"typical_p": 0.0},
    {"repeat_penalty": 1.1, "repeat_last_n": 2_000_000_000},
    {"dry_multiplier": 0.8, "dry_penalty_last_n": 2_000_000_000},
    {"repeat_penalty": 1.1, "repeat_last_n": -1},
    {"prompt": "\x00\ufffe"},
    {"prompt": [1, "a", 2]},
    {"samplers": []},
    {"samplers": ["nonsense", "top_k"]},
    {"samplers": ["adaptive_p"], "adaptive_target": 0.5},
    {"adaptive_target": 1e30, "adaptive_decay": -4.0, "samplers": ["adaptive_p"]},
    {"logit_bias": {"999999": -1.0, "the": False, "5": 1e30}},
    {"n_probs": 1000},
    {"n_probs": 5, "post_sampling_probs": True, "temperature": 0},
    {"dry_multiplier": 0.8, "dry_sequence_breakers": ["", "\u0000", "é"]},
    {"t_max_predict_ms": 1},
    {"t_max_predict_ms": -1},
    {"n_keep": 2**62},
    {"lora": []},
]


@pytest.mark.parametrize("fields", HOSTILE, ids=[json.dumps(fields) for fields in HOSTILE])
def test_hostile_values_are_taken(server: Server, fields: dict[str, Any]) -> None:
    status, body = server.post("/completion", {"prompt": "The", "n_predict": 3} | fields)
    assert status == 200, body


def test_no_request_chooses_how_much_memory_is_taken(server: Server) -> None:
    before = memory(server)
    for field in ("repeat_last_n", "dry_penalty_last_n"):
        body = {"prompt": "x", "n_predict": 1, "repeat_penalty": 1.1, "dry_multiplier": 1.0, field: 10**9}
        assert server.post("/completion", body)[0] == 200
    assert memory(server) - before < 50_000_000


def test_a_huge_prompt_does_not_hold_others_up(server: Server) -> None:
    """It is tokenized beside the event loop, which goes on answering: /health comes before the refusal does."""
    import threading

    refused = threading.Event()

    def ask() -> None:
        assert server.post("/completion", {"prompt": "word " * 2_000_000})[0] == 400
        refused.set()

    asking = threading.Thread(target=ask)
    asking.start()
    answered = 0
    while not refused.is_set():
        assert server.get("/health")[0] == 200
        answered += 1
        if not asking.is_alive():
            break
    asking.join()
    assert refused.is_set()
    assert answered > 3


def test_lone_surrogates_are_answered(server: Server) -> None:
    status, _body = server.post("/completion", b'{"prompt": "\\ud800 x", "n_predict": 1}')
    assert status in (200, 400)


def test_the_wrong_method_is_named(server: Server) -> None:
    status, body = server.get("/completion")
    assert status == 405
    assert "POST" in body["error"]["message"]


def test_a_body_over_the_limit_is_refused(server: Server) -> None:
    status, body = server.post("/completion", b'{"prompt":"' + b"x" * (65 * 1024 * 1024) + b'"}')
    assert status == 413
    assert "larger" in body["error"]["message"]


def test_bytes_that_are_not_http_disturb_nobody(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 100)
        assert b"400" in raw.recv(1000)
    deadline = time.monotonic() + 5
    while server.get("/health")[0] != 200:
        assert time.monotonic() < deadline


def memory(server: Server) -> int:
    """The server's peak resident memory, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024
