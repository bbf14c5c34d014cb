"""Calls of tools that take free text and of functions in namespaces, as `/v1/responses` answers with them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.chat.answer import CallDelta, Delta
from runtime.engine.types import FinishReason, GenerationRequest, Usage
from runtime.server.chatting import Call, ChatAnswer, ChatFinished
from runtime.server.openai.responses.free_text import FreeText, free_text
from runtime.server.openai.responses.output import ResponseHead
from runtime.server.openai.responses.request import ResponsesRequest
from runtime.server.openai.responses.tools import response_tools
from runtime.server.openai.responses.writer import ResponsesWriter
from support.fakes import FakeModel

TOOLS = [
    {"type": "custom", "name": "apply_patch", "format": {"type": "text"}},
    {"type": "namespace", "name": "mcp__files", "tools": [{"type": "function", "name": "read", "parameters": {}}]},
    {"type": "web_search"},
]
FINISHED = ChatFinished(FinishReason.END_OF_TEXT, Usage(10, 4, 6, 0.1, 0.1), reasoning_tokens=0)
CUT = msgspec.structs.replace(FINISHED, reason=FinishReason.MAX_TOKENS)


def new_writer() -> ResponsesWriter:
    body = msgspec.convert({"input": "q", "tools": TOOLS}, ResponsesRequest)
    tools = response_tools(body.tools or ())
    return ResponsesWriter(ResponseHead(body, GenerationRequest((1,)), "m"), tools, FakeModel(), None)


def streamed(*deltas: Delta, finished: ChatFinished = FINISHED) -> list[dict[str, Any]]:
    writer = new_writer()
    events = [*writer.opening(0), *(event for delta in deltas for event in writer.part(0, (delta,), ()))]
    return [*events, *writer.last(0, finished), *writer.closing([finished])]


def test_a_custom_tool_is_called_with_text() -> None:
    pieces = ('{"in', 'put": "*** Be', "gin\\", "n+\\u00", 'e9 \\"x\\"', '"}')
    deltas = [CallDelta(0, "c1", "apply_patch", ""), *(CallDelta(0, "", "", piece) for piece in pieces)]
    events = streamed(*deltas)
    _created, _begun, added, *middle, done, ended, completed = events
    assert added["item"] == {
        "id": added["item"]["id"],
        "type": "custom_tool_call",
        "status": "in_progress",
        "call_id": "c1",
        "name": "apply_patch",
        "input": "",
    }
    assert {event["type"] for event in middle} == {"response.custom_tool_call_input.delta"}
    text = '*** Begin\n+é "x"'
    assert "".join(event["delta"] for event in middle) == text == done["input"]
    assert len(middle) > 2, "it comes as it is generated"
    assert {event["item_id"] for event in (*middle, done)} == {added["item"]["id"]}
    assert ended["item"] == added["item"] | {"status": "completed", "input": text}
    assert completed["response"]["output"] == [ended["item"]]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_a_function_of_a_namespace_is_called_by_the_names_it_came_with() -> None:
    events = streamed(CallDelta(0, "c1", "mcp__files__read", "{}"))
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "read", "mcp__files")
    assert [event["name"] for event in events if event["type"].endswith("arguments.done")] == ["read"]


def test_what_cannot_be_called_is_shown_as_it_was_offered() -> None:
    shown = streamed()[-1]["response"]["tools"]
    assert [tool["type"] for tool in shown] == ["custom", "namespace", "web_search"]
    assert shown[2] == {"type": "web_search"}


ARGUMENTS: list[tuple[str, str]] = [
    ('{"input": "a"}', "a"),
    ('{"input": "a\\n', "a\n"),
    ('{"input": "a\\', "a"),
    ("{", "{"),
    ('{"other": "a"}', '{"other": "a"}'),
    ('{"other": 1, "input": "a"}', "a"),
    ('{"input": 1}', '{"input": 1}'),
    ("", ""),
]


@pytest.mark.parametrize(("arguments", "text"), ARGUMENTS, ids=[row[0] for row in ARGUMENTS])
def test_a_whole_answer_says_what_a_stream_does(arguments: str, text: str) -> None:
    """Even where the model calls otherwise than it was told, or the answer ends in the middle."""
    for finished in (FINISHED, CUT):
        deltas = (CallDelta(0, "c1", "apply_patch", ""), *(CallDelta(0, "", "", char) for char in arguments))
        in_pieces = streamed(*deltas, finished=finished)[-1]["response"]["output"]
        call = Call("c1", "apply_patch", arguments)
        at_once = new_writer().whole([ChatAnswer("", "", (call,), (), finished)])["output"]
        for (item,) in (in_pieces, at_once):
            assert item["input"] == text
            assert item["status"] == ("completed" if finished is FINISHED else "incomplete")


@given(st.text(st.characters(codec="utf-8")), st.booleans(), st.lists(st.integers(1, 9), min_size=1))
def test_the_text_is_the_same_however_it_comes(text: str, ascii: bool, sizes: list[int]) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii)
    coming, at, sent = FreeText(), 0, ""
    while at < len(arguments):
        size = sizes[at % len(sizes)]
        sent += coming.push(arguments[at : at + size])
        at += size
    assert sent + coming.finish() == text == coming.text == free_text(arguments)
