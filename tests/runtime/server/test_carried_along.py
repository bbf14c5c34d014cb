"""What agents carry along in every dialect: accepted, in history and in lists of tools; and what they ask for now.

The shapes are those of Claude Code, Codex, Cursor, opencode and of the SDKs, written anew with as little as shows them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.bundles import Server
from support.carried_along import (
    ANTHROPIC_TOOLS,
    CARRIED,
    CHAT,
    CODEX_TOOLS,
    FUNCTION,
    HELLO,
    LIMITS,
    MESSAGES,
    OLLAMA,
    PNG,
    RESPONSES,
    SHOT,
    item,
)


@pytest.mark.parametrize(("path", "body"), [row[1:] for row in CARRIED], ids=[row[0] for row in CARRIED])
def test_it_goes_on(server: Server, path: str, body: dict[str, Any]) -> None:
    for stream in (False, True):
        status, answer = server.post(path, {"model": "demo", **LIMITS[path], **body, "stream": stream})
        assert status == 200, answer
        assert '"error":{' not in json.dumps(answer).replace(" ", "").replace("\\", "")


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("a picture", CHAT, {"messages": [{"role": "user", "content": [item("text", text="q"), PNG]}]},
     "messages[0].content[1]"),
    ("a picture behind an answer", CHAT, {"messages": [HELLO, {"role": "assistant", "content": "a"},
     {"role": "user", "content": [PNG]}]}, "messages[2].content[0]"),
    ("a part nobody knows", RESPONSES, {"input": [{"role": "user", "content": [item("hologram")]}]},
     "input[0].content[0]"),
    ("a picture of Anthropic's", MESSAGES, {"messages": [{"role": "user", "content": [SHOT]}]},
     "messages[0].content[0]"),
    ("a picture of Ollama's", OLLAMA, {"messages": [{"role": "user", "content": "q", "images": ["AAAA"]}]},
     "messages[0].images"),
    ("a hosted tool", RESPONSES, {"input": "q", "tools": CODEX_TOOLS, "tool_choice": {"type": "web_search"}},
     "tool_choice"),
    ("one of none", RESPONSES, {"input": "q", "tools": CODEX_TOOLS[3:], "tool_choice": "required"}, "there are none"),
    ("a dated tool", MESSAGES, {"messages": [HELLO], "tools": ANTHROPIC_TOOLS,
     "tool_choice": {"type": "tool", "name": "bash"}}, "tool_choice"),
    ("a custom tool", CHAT, {"messages": [HELLO], "tools": [FUNCTION, item("custom", custom={"name": "c"})],
     "tool_choice": item("custom", custom={"name": "c"})}, "tool_choice"),
    ("nothing", RESPONSES, {"input": [item("item_reference", id="x")]}, "input"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_asked_for_now_and_cannot_be_had_is_refused(
    server: Server, path: str, body: dict[str, Any], says: str
) -> None:
    for stream in (False, True):
        status, answer = server.post(path, {"model": "demo", **LIMITS[path], **body, "stream": stream})
        assert status == 400, answer
        assert says in json.dumps(answer)


def test_a_custom_tool_is_called_with_text_that_follows_its_grammar(server: Server) -> None:
    """By a model that has never heard of it: the grammar has it no other way."""
    tool = item("custom", name="pick", format={"type": "grammar", "syntax": "regex", "definition": "(one|two)!"})
    body = {"input": "hello", "tools": [tool], "tool_choice": {"type": "custom", "name": "pick"}, "seed": 1}
    status, answer = server.post(RESPONSES, body | {"parallel_tool_calls": False})
    assert status == 200
    (call,) = [one for one in answer["output"] if one["type"] == "custom_tool_call"]
    assert (call["name"], call["status"]) == ("pick", "completed")
    assert call["input"] in ("one!", "two!")
    raw = server.post(RESPONSES, body | {"parallel_tool_calls": False, "stream": True})[1]
    events = [json.loads(line[6:]) for line in raw.split("\n") if line.startswith("data: ")]
    said = "".join(event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta")
    assert said == call["input"]
    back = [
        {"role": "user", "content": "hello"},
        call,
        item("custom_tool_call_output", call_id=call["call_id"], output="ok"),
    ]
    assert server.post(RESPONSES, {"input": back, "tools": [tool], "max_output_tokens": 4})[0] == 200


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_what_an_answer_broke_off_in_is_taken_back(server: Server, path: str) -> None:
    """A call that the limit cut in its arguments, sent back as it came."""
    name, schema = "get_weather", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    fields: dict[str, Any] = {
        CHAT: {"tools": [item("function", function={"name": name, "parameters": schema})], "tool_choice": "required"},
        RESPONSES: {"tools": [item("function", name=name, parameters=schema)], "tool_choice": "required"},
        MESSAGES: {"tools": [{"name": name, "input_schema": schema}], "tool_choice": {"type": "any"}},
    }[path]
    key = "input" if path == RESPONSES else "messages"
    limit = next(iter(LIMITS[path]))
    cut_off = 0
    for tokens in range(8, 32, 4):
        status, answer = server.post(path, {key: [HELLO], limit: tokens, **fields})
        assert status == 200, answer
        if path == RESPONSES:
            back, cut = answer["output"], answer["status"] == "incomplete"
        elif path == MESSAGES:
            back, cut = [{"role": "assistant", "content": answer["content"]}], answer["stop_reason"] == "max_tokens"
        else:
            (choice,) = answer["choices"]
            back, cut = [choice["message"]], choice["finish_reason"] == "length"
        cut_off += cut
        status, answer = server.post(path, {key: [HELLO, *back, HELLO], limit: 1, **fields})
        assert status == 200, answer
    assert cut_off
