"""A prompt that is too long, told in the words that each dialect's clients wait for before they shorten it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.bundles import Server

LONG = "word " * 4000
USER = [{"role": "user", "content": LONG}]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", {"messages": USER}),
        ("/chat/completions", {"messages": USER, "stream": True}),
        ("/v1/completions", {"prompt": LONG}),
        ("/v1/completions", {"prompt": LONG, "stream": True}),
        ("/v1/responses", {"input": LONG}),
        ("/responses", {"input": USER}),
    ],
)
def test_openai(server: Server, path: str, asked: Any) -> None:
    """opencode and qwen-code look for the code, other clients for either phrase."""
    status, body = server.post(path, asked)
    assert status == 400
    error = body["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["type"] == "invalid_request_error"
    assert re.search(r"maximum context length is (\d+) tokens", error["message"])[1] == str(error["n_ctx"])  # type: ignore[index]
    assert "exceeds the available context size" in error["message"]


def test_a_stream_of_responses_fails_in_its_last_event(server: Server) -> None:
    """Codex shortens the conversation at this event, and gives up at a status of 400."""
    _status, text = server.post("/v1/responses", {"input": LONG, "stream": True})
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2]
    response = events[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"]["code"] == "context_length_exceeded"
    assert "maximum context length" in response["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(server: Server, stream: bool) -> None:
    """Claude Code compares the beginning word for word, and reads the numbers."""
    status, body = server.post("/v1/messages", {"messages": USER, "max_tokens": 9, "stream": stream})
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert re.fullmatch(r"prompt is too long: \d+ tokens > \d+ maximum", body["error"]["message"])


@pytest.mark.parametrize("stream", [False, True])
def test_llamacpp(server: Server, stream: bool) -> None:
    status, body = server.post("/completion", {"prompt": LONG, "stream": stream})
    assert status == 400
    error = body["error"]
    assert (error["code"], error["type"]) == (400, "exceed_context_size_error")
    assert error["n_prompt_tokens"] >= error["n_ctx"] > 0
    assert "exceeds the available context size" in error["message"]


def test_ollama(server: Server) -> None:
    status, body = server.post("/api/chat", {"messages": USER})
    assert status == 400
    assert "exceeds the available context size" in body["error"]


# -- before it comes to that ------------------------------------------------------------------------------------


def asked_with(server: Server, path: str, **headers: str) -> Any:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    assert response.status == 200
    answer = json.loads(response.read())
    connection.close()
    return answer


def test_models_say_how_long_a_conversation_may_be(server: Server) -> None:
    (model,) = server.get("/v1/models")[1]["data"]
    n_ctx = server.get("/props")[1]["default_generation_settings"]["n_ctx"]
    assert model["context_length"] == model["max_model_len"] == model["meta"]["n_ctx"] == n_ctx
    assert server.get("/v1/models/demo")[1]["context_length"] == n_ctx


def test_models_in_anthropics_form(server: Server) -> None:
    answer = asked_with(server, "/v1/models", anthropic_version="2023-06-01")
    (model,) = answer["data"]
    assert (model["type"], model["id"], answer["first_id"], answer["has_more"]) == ("model", "demo", "demo", False)
    assert model["max_input_tokens"] == server.get("/v1/models")[1]["data"][0]["context_length"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", model["created_at"])
    assert asked_with(server, "/v1/models/demo", anthropic_version="2023-06-01") == model


def test_models_in_the_form_that_codex_reads(server: Server) -> None:
    answer = asked_with(server, "/v1/models?client_version=0.171.0")
    (model,) = answer["models"]
    assert (model["slug"], model["visibility"], model["supported_in_api"]) == ("demo", "list", True)
    assert model["context_window"] == server.get("/v1/models")[1]["data"][0]["context_length"]
    assert model["truncation_policy"] == {"mode": "bytes", "limit": 10_000}
    assert model["base_instructions"]
