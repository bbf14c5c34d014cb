"""What Open WebUI's server asks, over both of its kinds of connections, as its public source writes it.

The program itself is not run here. It lists models, answers with streams, and asks for titles and tags beside them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.bundles import CHAT, Server, lines

USER = {"name": "U", "id": "6a0e", "email": "u@example.com", "role": "admin"}
SAID = [
    {"role": "system", "content": "User Context:\n\nnone"},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": '<details type="reasoning" done="true">hm</details>\nHello!', "tool_calls": []},
]
ASKED: list[Any] = [
    "and now?",
    [{"type": "text", "text": "and now?", "cache_control": {"type": "ephemeral"}}],
]
TOOL = {"name": "search", "description": "Searches.", "parameters": {"type": "object", "properties": {}}}


def test_models_of_an_openai_connection(server: Server) -> None:
    """Each needs an id, and a name only where it is one."""
    _status, body = server.get("/v1/models")
    assert [(one["id"], one.get("name", one["id"])) for one in body["data"]] == [("demo", "demo")]
    assert "error" not in body


@pytest.mark.parametrize("content", ASKED)
def test_a_chat_over_an_openai_connection(server: Server, content: Any) -> None:
    body = {
        "model": "demo",
        "messages": [*SAID, {"role": "user", "content": content}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.8,
        "top_p": 0.9,
        "max_tokens": 8,
        "frequency_penalty": 0.0,
        "seed": 42,
        "stop": ["END"],
        "logit_bias": {"5": -100},
        "reasoning_effort": "medium",
        "tools": [{"type": "function", "function": TOOL}],
        "user": USER,
        "metadata": {"chat_id": "c", "task": None},
        "chat_id": "c",
        "session_id": "s",
    }
    events = [data for _when, data in server.stream(CHAT, body)]
    assert events[-1] == "[DONE]"
    assert 0 < json.loads(events[-2])["usage"]["completion_tokens"] <= 8


def test_a_title_is_asked_for_beside_it(server: Server) -> None:
    task = '### Task:\nGenerate a concise title.\n### Output:\nJSON format: { "title": "your title here" }'
    body = {"model": "demo", "messages": [{"role": "user", "content": task}], "stream": False}
    status, answer = server.post(CHAT, body | {"max_completion_tokens": 8, "metadata": {"task": "title_generation"}})
    assert status == 200
    assert isinstance(answer["choices"][0]["message"]["content"], str)


def test_an_ollama_connection(server: Server) -> None:
    assert server.get("/api/version")[1]["version"]
    assert [one["model"] for one in server.get("/api/tags")[1]["models"]] == ["demo:latest"]
    assert [one["model"] for one in server.get("/api/ps")[1]["models"]] == ["demo:latest"]
    assert server.post("/api/show", {"model": "demo:latest"})[0] == 200
    options = {
        "num_ctx": 2048,
        "num_predict": 8,
        "tfs_z": 1,
        "new_topic_penalty": 0.0,
        "repeat_penalty": 1.1,
        "stop": [],
    }
    messages = [{**one, "images": []} for one in [*SAID, {"role": "user", "content": "and now?"}]]
    body = {"model": "demo:latest", "messages": messages, "stream": True, "options": options, "keep_alive": None}
    last = lines(server, "/api/chat", body | {"format": "", "think": None, "tools": []})[-1]
    assert last["done"]
    assert 0 < last["eval_count"] <= 8
    assert (
        len(server.post("/api/embed", {"model": "demo", "input": ["a", "b"], "truncate": True})[1]["embeddings"]) == 2
    )
