"""Ollama's dialect: what is answered on each route, and what odd requests get, on the real demo bundle."""

from __future__ import annotations

import http.client
import json
import math
from datetime import datetime, timezone
from typing import Any

import pytest

from support.apps import with_app
from support.bundles import Server, lines
from support.fakes import FakeContext

GENERATE = "/api/generate"
CHAT = "/api/chat"
PROMPT = "The first man on the moon was ..."
GREEDY = {"temperature": 0}
QUESTION = [{"role": "user", "content": PROMPT}]


# -- generate and chat ----------------------------------------------------------------------------------------


def test_a_stream_is_what_nobody_asked_not_to_have(server: Server) -> None:
    *parts, last = lines(server, GENERATE, {"model": "demo", "prompt": PROMPT, "options": GREEDY})
    assert "Neil Armstrong" in "".join(part["response"] for part in parts)
    assert len(parts) > 10
    assert not any(part["done"] for part in parts)
    assert (last["response"], last["done"], last["done_reason"]) == ("", True, "stop")
    assert {type(last[name]) for name in last if name.endswith(("_count", "_duration"))} == {int}
    assert last["eval_count"] > 0
    assert last["total_duration"] >= last["eval_duration"] > 0
    for part in (*parts, last):
        assert part["model"] == "demo"
        assert datetime.fromisoformat(part["created_at"].replace("Z", "+00:00")).tzinfo == timezone.utc


def test_parts_come_while_others_are_made(server: Server) -> None:
    long = {"type": "string", "minLength": 1000}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", GENERATE, json.dumps({"model": "demo", "prompt": "Once", "format": long}))
    answer = connection.getresponse()
    assert json.loads(answer.readline())["done"] is False
    assert any(slot["is_processing"] for slot in server.get("/slots")[1])
    assert json.loads(answer.readlines()[-1])["done"] is True
    connection.close()


def test_a_whole_answer_is_the_stream_s(server: Server) -> None:
    request = {"model": "demo", "messages": QUESTION, "options": GREEDY}
    parts = lines(server, CHAT, request)
    assert {part["message"]["role"] for part in parts} == {"assistant"}
    status, whole = server.post(CHAT, request | {"stream": False})
    assert status == 200
    assert whole["message"] == {
        "role": "assistant",
        "content": "".join(part["message"]["content"] for part in parts),
    }
    for name in ("done", "done_reason", "prompt_eval_count", "eval_count"):
        assert whole[name] == parts[-1][name]


@pytest.mark.parametrize("name", ["demo", "demo:latest", "llama3.2", None])
def test_the_only_model_answers_to_any_name_and_by_that_name(server: Server, name: str | None) -> None:
    request = {"model": name, "prompt": "x", "stream": False, "options": {"num_predict": 1}}
    status, body = server.post(GENERATE, request)
    assert status == 200
    assert body["model"] == (name or "demo:latest")
    assert body["done_reason"] == "length"


@pytest.mark.parametrize(("path", "text"), [(GENERATE, {"response": ""}), (CHAT, {"message": {}})])
@pytest.mark.parametrize(
    ("keep_alive", "reason"), [(None, "load"), (300, "load"), ("5m", "load"), (0, "unload"), ("0s", "unload")]
)
def test_nothing_to_answer_loads_or_unloads(
    server: Server, path: str, text: dict[str, Any], keep_alive: Any, reason: str
) -> None:
    status, body = server.post(path, {"model": "demo", "keep_alive": keep_alive})
    assert (status, body["done"], body["done_reason"]) == (200, True, reason)
    assert text.keys() <= body.keys()


def test_a_context_goes_on_with_the_conversation(server: Server) -> None:
    request = {"model": "demo", "stream": False, "options": GREEDY}
    _status, first = server.post(GENERATE, request | {"prompt": "Who was the first man on the moon?"})
    _status, second = server.post(
        GENERATE, request | {"prompt": "And who was the second?", "context": first["context"]}
    )
    assert "Buzz Aldrin" in second["response"]
    assert second["context"][: len(first["context"])] == first["context"]
    assert lines(server, GENERATE, {**request, "prompt": PROMPT, "stream": True})[-1]["context"]


def test_raw_text_is_continued(server: Server) -> None:
    request = {"model": "demo", "prompt": "The capital of France is", "raw": True, "stream": False, "options": GREEDY}
    _status, body = server.post(GENERATE, request)
    assert "Paris" in body["response"]
    assert "context" not in body
    assert body["prompt_eval_count"] == server.post("/completion", {"prompt": request["prompt"]})[1]["tokens_evaluated"]


def test_a_template_of_the_client_s(server: Server) -> None:
    template = "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ .Response }}"
    request = {"model": "demo", "prompt": PROMPT, "stream": False, "options": GREEDY}
    _status, body = server.post(GENERATE, request | {"template": template})
    assert "Neil Armstrong" in body["response"]
    assert body["prompt_eval_count"] == server.post(GENERATE, request)[1]["prompt_eval_count"]


def test_a_system_prompt(server: Server) -> None:
    request = {"model": "demo", "prompt": PROMPT, "stream": False, "options": GREEDY}
    _status, body = server.post(GENERATE, request | {"system": "You are a helpful assistant."})
    assert "Neil Armstrong" in body["response"]
    assert body["prompt_eval_count"] > server.post(GENERATE, request)[1]["prompt_eval_count"]


@pytest.mark.parametrize("format", ["json", {"type": "object", "properties": {"year": {"type": "integer"}}}])
@pytest.mark.parametrize("path", [GENERATE, CHAT])
@pytest.mark.parametrize("raw", [False, True])
def test_a_format_is_kept_to(server: Server, path: str, format: Any, raw: bool) -> None:
    request = {"model": "demo", "format": format, "stream": False, "options": {"temperature": 2.0, "num_predict": 200}}
    words = {"messages": QUESTION} if path == CHAT else {"prompt": PROMPT, "raw": raw}
    status, body = server.post(path, request | words)
    assert status == 200, body
    text = body["message"]["content"] if path == CHAT else body["response"]
    assert text.startswith("{")
    if body["done_reason"] == "stop":
        json.loads(text)


@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_probabilities(server: Server, path: str) -> None:
    request = {"model": "demo", "messages": QUESTION, "prompt": PROMPT, "options": GREEDY | {"num_predict": 5}}
    parts = lines(server, path, request | {"logprobs": True, "top_logprobs": 3})
    found = [one for part in parts for one in part.get("logprobs", ())]
    assert len(found) == 5
    for one in found:
        assert one["logprob"] <= 0
        assert bytes(one["bytes"]).decode() == one["token"]
        assert [one["token"], 3] == [one["top_logprobs"][0]["token"], len(one["top_logprobs"])]
    _status, whole = server.post(path, request | {"logprobs": True, "stream": False})
    assert [one["token"] for one in whole["logprobs"]] == [one["token"] for one in found]
    assert "top_logprobs" not in whole["logprobs"][0]


def test_an_answer_is_continued(server: Server) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "The first man on the moon was Neil"}]
    _status, body = server.post(CHAT, {"model": "demo", "messages": begun, "stream": False, "options": GREEDY})
    assert body["message"]["content"].startswith(" Armstrong")


# -- vectors --------------------------------------------------------------------------------------------------


def test_embed(server: Server) -> None:
    status, body = server.post("/api/embed", {"model": "demo", "input": ["hello", "The moon is far away."]})
    assert status == 200, body
    assert [math.hypot(*vector) for vector in body["embeddings"]] == pytest.approx([1, 1], abs=1e-5)
    assert body["prompt_eval_count"] > 2
    assert body["total_duration"] > 0
    _status, one = server.post("/api/embed", {"model": "demo", "input": "hello", "options": {"num_ctx": None}})
    assert one["embeddings"][0] == pytest.approx(body["embeddings"][0], abs=1e-2)


@pytest.mark.parametrize("input", ["", [], None])
def test_nothing_to_embed(server: Server, input: Any) -> None:
    status, body = server.post("/api/embed", {"model": "demo", "input": input})
    assert (status, body["embeddings"]) == (200, [])


def test_dimensions(server: Server) -> None:
    for dimensions, length in ((8, 8), (0, 192), (-1, 192), (10**6, 192)):
        request = {"model": "demo", "input": "hello", "dimensions": dimensions}
        vector = server.post("/api/embed", request)[1]["embeddings"][0]
        assert len(vector) == length
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


def test_texts_that_are_too_long_are_cut_unless_they_must_not_be(server: Server) -> None:
    request = {"model": "demo", "input": ["hello", "word " * 5000]}
    _status, body = server.post("/api/embed", request)
    assert len(body["embeddings"]) == 2
    status, body = server.post("/api/embed", request | {"truncate": False})
    assert status == 400
    assert body["error"].startswith("the input length exceeds the context length. ")


def test_embeddings_of_old(server: Server) -> None:
    _status, body = server.post("/api/embeddings", {"model": "demo", "prompt": "hello"})
    vector = server.post("/api/embed", {"model": "demo", "input": "hello"})[1]["embeddings"][0]
    length = math.hypot(*body["embedding"])
    assert [value / length for value in body["embedding"]] == pytest.approx(vector, abs=1e-2)
    assert server.post("/api/embeddings", {"model": "demo"})[1] == {"embedding": []}


# -- bad input ------------------------------------------------------------------------------------------------

BAD_REQUESTS: list[tuple[str, str, Any, int, str]] = [
    ("no body", GENERATE, b"", 400, "missing request body"),
    ("not JSON", CHAT, b"{", 400, "not valid JSON"),
    ("not an object", CHAT, b"[1]", 400, "Expected `object`"),
    ("deep nesting", CHAT, b'{"messages":' + b"[" * 100_000, 400, ""),
    ("an option of a wrong type", GENERATE, {"prompt": "x", "options": {"temperature": "hot"}}, 400, "temperature"),
    ("a whole that is none", GENERATE, {"prompt": "x", "options": {"num_ctx": True}}, 400, "num_ctx"),
    ("a penalty of zero", GENERATE, {"prompt": "x", "options": {"repeat_penalty": 0}}, 400, "repeat_penalty"),
    (
        "hostile numbers",
        GENERATE,
        {"prompt": "x", "options": {"top_k": 1e300, "seed": -1e300, "num_predict": 1}},
        200,
        "",
    ),
    ("options that are none", CHAT, {"messages": QUESTION, "options": [1]}, 400, "options"),
    ("a format nobody knows", GENERATE, {"prompt": "x", "format": "xml"}, 400, "invalid format"),
    ("a schema that is none", CHAT, {"messages": QUESTION, "format": {"type": "shape"}}, 400, "shape"),
    ("a schema that goes round", GENERATE, {"prompt": "x", "raw": True, "format": {"$ref": "#"}}, 400, "schema"),
    (
        "thoughts it has not",
        CHAT,
        {"model": "m", "messages": QUESTION, "think": True},
        400,
        '"m" does not support thinking',
    ),
    ("thoughts of a size nobody knows", CHAT, {"messages": QUESTION, "think": "much"}, 400, "not support thinking"),
    ("a duration that is none", CHAT, {"messages": QUESTION, "keep_alive": "soon"}, 400, 'invalid duration "soon"'),
    (
        "too many logprobs",
        CHAT,
        {"messages": QUESTION, "top_logprobs": 21},
        400,
        "top_logprobs must be between 0 and 20",
    ),
    (
        "raw and a system prompt",
        GENERATE,
        {"prompt": "x", "raw": True, "system": "y"},
        400,
        "raw mode does not support",
    ),
    ("a gap", GENERATE, {"model": "m", "prompt": "x", "suffix": "y"}, 400, '"m" does not support insert'),
    ("a picture", GENERATE, {"prompt": "x", "images": ["AAAA"]}, 400, "images"),
    ("a picture in a turn", CHAT, {"messages": [{"role": "user", "images": ["AAAA"]}]}, 400, "messages[0].images"),
    ("no such token", GENERATE, {"prompt": "x", "context": [10**6]}, 400, "context"),
    ("a template with a range", GENERATE, {"prompt": "x", "template": "{{ range .Messages }}"}, 400, "template"),
    ("a prompt over the context", GENERATE, {"prompt": "word " * 30_000}, 400, "context"),
    ("text to embed of a wrong type", "/api/embed", {"input": [1]}, 400, "input"),
    ("more texts than one may send", "/api/embed", {"input": ["a"] * 20_000}, 400, "input"),
    ("dimensions of a wrong type", "/api/embed", {"input": "a", "dimensions": "8"}, 400, "dimensions"),
    ("no model to show", "/api/show", {}, 400, "model is required"),
    ("no model to pull", "/api/pull", {}, 400, "model is required"),
    ("nothing to copy", "/api/copy", {}, 400, "source"),
    ("no such route", "/api/nothing", {}, 404, "File Not Found"),
    ("a wrong method", "/api/tags", {}, 405, "GET"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"), [row[1:] for row in BAD_REQUESTS], ids=[row[0] for row in BAD_REQUESTS]
)
def test_bad_requests(server: Server, path: str, body: Any, status: int, word: str) -> None:
    got, answer = server.post(path, body)
    assert got == status, answer
    if status != 200:
        assert answer.keys() == {"error"}
        assert word in answer["error"]


def test_a_model_for_vectors_only_says_so() -> None:
    async def ask_it(ask: Any, _engine: Any) -> None:
        for path, words in ((GENERATE, "does not support generate"), (CHAT, "does not support chat")):
            status, _headers, content = await ask("POST", path, b'{"model": "m"}')
            assert status == 400
            assert json.loads(content)["error"].startswith(f'"m" {words}. ')
        _status, _headers, content = await ask("GET", "/api/tags", b"")
        assert json.loads(content)["models"][0]["capabilities"] == ["embedding"]

    with_app(lambda: FakeContext(generates=False), ask_it)
