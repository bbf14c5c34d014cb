"""Anthropic's blocks, without a model: what a conversation becomes, and what an answer is written as."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.engine.types import FinishReason, Usage
from runtime.server.anthropic.errors import error_object
from runtime.server.anthropic.turns import ConversationFields, conversation
from runtime.server.anthropic.writing import MessageWriter
from runtime.server.chatting import Call, ChatAnswer, ChatFinished
from runtime.server.dialect import Failure

USER = {"role": "user", "content": "hello"}


def read(**fields: Any) -> Conversation:
    return conversation(msgspec.convert({"messages": [USER]} | fields, ConversationFields))


def test_a_conversation_with_calls() -> None:
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}, {"type": "text", "text": "In Paris."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I ask.", "signature": "x"},
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "b", "name": "get_time", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "Sunny"}]},
                {"type": "tool_result", "tool_use_id": "b", "content": "noon", "is_error": False},
                {"type": "tool_result", "tool_use_id": "c"},
                {"type": "text", "text": "So?"},
            ],
        },
    ]
    assert read(messages=turns, system="Be brief.").messages == (
        Message("system", "Be brief."),
        Message("user", "Weather?\nIn Paris."),
        Message(
            "assistant",
            "One moment.",
            "I ask.",
            (ToolCall("a", "get_weather", {"city": "Paris"}), ToolCall("b", "get_time", {})),
        ),
        Message("tool", "Sunny", tool_call_id="a", name="get_weather"),
        Message("tool", "noon", tool_call_id="b", name="get_time"),
        Message("tool", "", tool_call_id="c"),
        Message("user", "So?"),
    )


def test_turns_of_the_same_side_are_one() -> None:
    turns = [USER, USER, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    read_turns = read(messages=turns)
    assert read_turns.messages == (Message("user", "hello\nhello"), Message("assistant", "a\nb"))
    assert read_turns.continues_last


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"system": "", "tools": [], "tool_choice": None, "thinking": None, "output_config": None}, {}),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinks": True, "thought_tokens": 2000}),
    ({"thinking": {"type": "disabled"}}, {"thinks": False}),
    ({"thinking": {"type": "adaptive"}}, {"thinks": None}),
    ({"tool_choice": {"type": "auto"}}, {}),
    ({"tool_choice": {"type": "any"}}, {"tool_choice": ToolChoice("required")}),
    ({"tool_choice": {"type": "none"}}, {"tool_choice": ToolChoice("none")}),
    (
        {"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "tool", "name": "f"}},
        {"tools": (Tool("f"),), "tool_choice": ToolChoice(name="f")},
    ),
    (
        {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"tool_choice": ToolChoice("required"), "parallel_calls": False},
    ),
    (
        {"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}]},
        {"tools": (Tool("f", "d", {"type": "object"}),)},
    ),
    ({"output_config": {"effort": "max"}}, {"effort": "high"}),
    ({"output_config": {"effort": "low"}}, {"effort": "low"}),
    ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, {"schema": {}}),
]


@pytest.mark.parametrize(("given", "expected"), FIELDS, ids=[str(row[0]) for row in FIELDS])
def test_what_fields_say_of_the_answer(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(**given) == Conversation((Message("user", "hello"),), **expected)


USAGE = Usage(prompt_tokens=10, cached_tokens=4, generated_tokens=5, prompt_seconds=1, generation_seconds=1)
COUNTED = {
    "input_tokens": 6,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 4,
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 2},
}


def finished(reason: FinishReason = FinishReason.END_OF_TEXT, stop_string: str = "") -> ChatFinished:
    return ChatFinished(reason, USAGE, stop_string=stop_string, reasoning_tokens=2)


def test_the_blocks_of_a_stream_open_and_close_one_after_the_other() -> None:
    deltas: list[Delta] = [
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        ContentDelta("So"),
        CallDelta(0, "a", "f", ""),
        CallDelta(0, "", "", '{"x":'),
        CallDelta(0, "", "", "1}"),
        CallDelta(1, "b", "g", "{}"),
        ContentDelta("!"),
    ]
    writer = MessageWriter("m", 10, ())
    opening = list(writer.opening(0))
    assert opening[0]["message"]["usage"] == {"input_tokens": 10, "output_tokens": 0}
    blocks = [event for delta in deltas for event in writer.part(0, [delta], ())]
    *closing, ended = writer.last(0, finished())

    def start(index: int, **block: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def fill(index: int, kind: str, **delta: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}

    def stop(index: int) -> dict[str, Any]:
        return {"type": "content_block_stop", "index": index}

    assert blocks + closing == [
        start(0, type="thinking", thinking="", signature=""),
        fill(0, "thinking_delta", thinking="hm"),
        fill(0, "thinking_delta", thinking="m"),
        fill(0, "signature_delta", signature=""),
        stop(0),
        start(1, type="text", text=""),
        fill(1, "text_delta", text="So"),
        stop(1),
        start(2, type="tool_use", id="a", name="f", input={}),
        fill(2, "input_json_delta", partial_json='{"x":'),
        fill(2, "input_json_delta", partial_json="1}"),
        stop(2),
        start(3, type="tool_use", id="b", name="g", input={}),
        fill(3, "input_json_delta", partial_json="{}"),
        stop(3),
        start(4, type="text", text=""),
        fill(4, "text_delta", text="!"),
        stop(4),
    ]
    assert ended == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": COUNTED,
    }


def test_an_answer_of_nothing_has_no_blocks() -> None:
    writer = MessageWriter("m", 10, ())
    assert [event["type"] for event in (*writer.opening(0), *writer.last(0, finished()), *writer.closing([]))] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


def test_a_whole_answer() -> None:
    calls = (Call("a", "f", '{"x": 1}'), Call("b", "g", '{"x": '))
    whole = MessageWriter("m", 10, ()).whole([ChatAnswer("So", "hm", calls, (), finished())])
    assert whole["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "So"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    assert (whole["stop_reason"], whole["usage"]) == ("tool_use", COUNTED)


ENDS = [
    (finished(), (), "end_turn", None),
    (finished(FinishReason.STOP_STRING, "END"), ("END",), "stop_sequence", "END"),
    (finished(FinishReason.STOP_STRING, "<|template's|>"), ("END",), "end_turn", None),
    (finished(FinishReason.MAX_TOKENS), (), "max_tokens", None),
    (finished(FinishReason.CONTEXT_FULL), (), "model_context_window_exceeded", None),
]


@pytest.mark.parametrize(("end", "stops", "reason", "sequence"), ENDS)
def test_why_an_answer_ended(end: ChatFinished, stops: tuple[str, ...], reason: str, sequence: str | None) -> None:
    whole = MessageWriter("m", 10, stops).whole([ChatAnswer("x", "", (), (), end)])
    assert (whole["stop_reason"], whole["stop_sequence"]) == (reason, sequence)


STATUSES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    500: "api_error",
    501: "api_error",
    503: "overloaded_error",
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_types_of_errors(status: int, kind: str) -> None:
    failure = Failure(status, "whatever", "it failed", {"more": 1})
    assert error_object(failure) == {"type": "error", "error": {"type": kind, "message": "it failed"}}
