"""Ollama's routes about models: those that there are, and that they are fixed."""

from __future__ import annotations

import http.client
from datetime import datetime, timezone
from typing import Any

import pytest

from support.bundles import Server, lines


def head(server: Server, path: str) -> int:
    """The status of a HEAD."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("HEAD", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_which_models_there_are(server: Server) -> None:
    (model,) = server.get("/api/tags")[1]["models"]
    assert model["name"] == model["model"] == "demo:latest"
    assert len(model["digest"]) == 64
    assert model["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "1.9M",
        "quantization_level": "Q8_0",
    }
    assert model["capabilities"] == ["completion", "tools"]
    (running,) = server.get("/api/ps")[1]["models"]
    assert running["digest"] == model["digest"]
    assert running["context_length"] == 2048
    assert running["size_vram"] == 0
    expires = datetime.fromisoformat(running["expires_at"].replace("Z", "+00:00"))
    assert expires > datetime.now(timezone.utc)


def test_show(server: Server) -> None:
    status, body = server.post("/api/show", {"model": "demo"})
    assert status == 200
    assert body["model_info"]["general.architecture"] == "llama"
    assert body["model_info"]["llama.context_length"] == 2048
    assert body["license"] == "mit"
    assert "<|im_start|>" in body["template"]


def test_the_version_is_one_that_clients_can_compare(server: Server) -> None:
    version = server.get("/api/version")[1]["version"]
    assert tuple(map(int, version.split("."))) >= (0, 33, 0)


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_clients_look_whether_anybody_is_there(server: Server, path: str) -> None:
    assert head(server, path) == 200


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_there_can_be_pulled(server: Server, stream: bool) -> None:
    if stream:
        assert lines(server, "/api/pull", {"model": "demo"})[-1] == {"status": "success"}
    else:
        assert server.post("/api/pull", {"name": "demo:latest", "stream": False}) == (200, {"status": "success"})


def test_any_name_can_be_pulled_that_is_answered_to(server: Server) -> None:
    """As Codex pulls gpt-oss:20b with --oss before it asks for it."""
    name = "gpt-oss:20b"
    assert [one["status"] for one in lines(server, "/api/pull", {"model": name, "stream": True})] == [
        "pulling manifest",
        "this file's demo answers to gpt-oss:20b",
        "success",
    ]
    assert server.post("/api/pull", {"name": name, "stream": False}) == (200, {"status": "success"})
    asked = {"model": name, "messages": [{"role": "user", "content": "hello"}], "options": {"num_predict": 1}}
    assert server.post("/api/chat", asked | {"stream": False})[1]["model"] == name


FIXED: list[tuple[str, str, Any]] = [
    ("POST", "/api/push", {"model": "demo"}),
    ("POST", "/api/create", {"model": "mine", "from": "demo"}),
    ("POST", "/api/copy", {"source": "demo", "destination": "mine"}),
    ("DELETE", "/api/delete", {"model": "demo"}),
    ("POST", f"/api/blobs/sha256:{'0' * 64}", b"GGUF"),
]


@pytest.mark.parametrize(("method", "path", "body"), FIXED)
def test_the_models_are_fixed(server: Server, method: str, path: str, body: Any) -> None:
    status, answer = server._request(method, path, body)
    assert status == 403
    assert answer.keys() == {"error"}
    assert "fixed: demo" in answer["error"]
    assert "loaf build" in answer["error"]


def test_there_are_no_blobs(server: Server) -> None:
    assert head(server, f"/api/blobs/sha256:{'0' * 64}") == 404
