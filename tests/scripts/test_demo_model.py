"""What the demo model must know: the examples that its training promises, asked of the real server, greedily."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.bundles import ROOT, Server

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLES = tomllib.loads((ROOT / "scripts" / "demo_model" / "examples.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", EXAMPLES["example"], ids=lambda example: example["group"])
def test_example(server: Server, example: dict[str, Any]) -> None:
    if example["kind"] == "raw":
        status, body = server.post("/completion", {"prompt": example["prompt"], "temperature": 0})
        assert status == 200, body
        assert example["expect"] in body["content"]
        assert body["stop_type"] == "eos"
        return
    tools = {"tools": [EXAMPLES["tools"][name] for name in example["tools"]]} if "tools" in example else {}
    request = {"messages": example["messages"], "temperature": 0} | tools
    status, body = server.post("/v1/chat/completions", request)
    assert status == 200, body
    (choice,) = body["choices"]
    if example["expect"].startswith("<tool_call>"):
        expected = json.loads(example["expect"].removeprefix("<tool_call>").removesuffix("</tool_call>"))
        function = choice["message"]["tool_calls"][0]["function"]
        assert (function["name"], json.loads(function["arguments"])) == (expected["name"], expected["arguments"])
        assert choice["finish_reason"] == "tool_calls"
    else:
        assert example["expect"] in choice["message"]["content"]
        assert choice["finish_reason"] == "stop"


def test_the_embedded_model_is_small(demo_gguf: Path) -> None:
    assert demo_gguf.stat().st_size <= 4_000_000


def test_a_character_of_several_tokens_arrives_whole(server: Server) -> None:
    """The answer in emoji is streamed in pieces, none of which holds half a character."""
    prompt = next(one for one in EXAMPLES["example"] if one["group"] == "bytes")
    events = [json.loads(data) for _when, data in server.stream("/v1/chat/completions", {
        "messages": prompt["messages"], "temperature": 0,
    })[:-1]]  # fmt: skip
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert prompt["expect"] in text
    assert "\ufffd" not in text
