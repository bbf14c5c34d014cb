"""`/v1/responses`: what its input means, and which events an answer becomes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.conversation import ToolChoice
from runtime.chat.messages import Message, ToolCall
from runtime.engine.types import FinishReason, GenerationRequest, Usage
from runtime.server.chatting import Call, ChatAnswer, ChatFinished
from runtime.server.dialect import Failure
from runtime.server.openai.responses.output import ResponseHead
from runtime.server.openai.responses.request import ResponsesRequest, conversation_of
from runtime.server.openai.responses.tools import response_tools
from runtime.server.openai.responses.writer import ResponsesWriter
from support.bundles import Server
from support.fakes import FakeModel

PATH = "/v1/responses"
QUESTION = "Who was the first man on the moon?"

# -- what the input means ---------------------------------------------------------------------------------------


def parsed(**fields: Any) -> ResponsesRequest:
    return msgspec.convert(fields, ResponsesRequest)


CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'}
ADD = ToolCall("c1", "add", {"a": 1})

INPUTS: list[tuple[str, Any, list[Message]]] = [
    ("text", "hi", [Message("user", "hi")]),
    ("a message without a type", [{"role": "user", "content": "hi"}], [Message("user", "hi")]),
    (
        "parts",
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}] * 2}],
        [Message("user", "a\na")],
    ),
    (
        "an answer that was sent back",
        [
            {"role": "user", "content": "q"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
            },
            CALL | {"id": "fc_1", "status": "completed"},
            CALL | {"call_id": "c2"},
            {"type": "function_call_output", "call_id": "c1", "output": "3"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "4"}]},
        ],
        [
            Message("user", "q"),
            Message("assistant", "a", "hm", (ADD, msgspec.structs.replace(ADD, id="c2"))),
            Message("tool", "3", tool_call_id="c1", name="add"),
            Message("tool", "4", tool_call_id="c2", name="add"),
        ],
    ),
    (
        "two answers in a row",
        [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        [Message("assistant", "a"), Message("assistant", "b")],
    ),
    (
        "calls end a turn",
        [CALL, {"role": "assistant", "content": "b"}],
        [Message("assistant", tool_calls=(ADD,)), Message("assistant", "b")],
    ),
    (
        "thoughts that nobody can read",
        [{"type": "reasoning", "summary": [], "encrypted_content": "x"}, {"role": "user", "content": "q"}],
        [Message("user", "q")],
    ),
    (
        "a refusal",
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        [Message("assistant", "no")],
    ),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in INPUTS], ids=[row[0] for row in INPUTS])
def test_what_the_input_means(given: Any, expected: list[Message]) -> None:
    assert list(conversation_of(parsed(input=given)).messages) == expected


def test_instructions_come_first() -> None:
    system, user = conversation_of(parsed(input="hi", instructions="be brief")).messages
    assert (system, user) == (Message("system", "be brief"), Message("user", "hi"))


def test_an_answer_at_the_end_is_continued() -> None:
    begun = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "The"}]
    assert conversation_of(parsed(input=begun)).continues_last
    assert not conversation_of(parsed(input=[*begun, CALL])).continues_last


TOOLS = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("add", "sub")]
CHOICES: list[tuple[Any, list[str], ToolChoice]] = [
    (None, ["add", "sub"], ToolChoice()),
    ("required", ["add", "sub"], ToolChoice("required")),
    ({"type": "function", "name": "sub"}, ["add", "sub"], ToolChoice(name="sub")),
    (
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "sub"}]},
        ["sub"],
        ToolChoice("required"),
    ),
]


@pytest.mark.parametrize(("choice", "names", "expected"), CHOICES, ids=[str(row[0])[:24] for row in CHOICES])
def test_which_tools_may_be_called(choice: Any, names: list[str], expected: ToolChoice) -> None:
    conversation = conversation_of(parsed(input="hi", tools=TOOLS, tool_choice=choice))
    assert [tool.name for tool in conversation.tools] == names
    assert conversation.tool_choice == expected


def test_how_much_is_thought() -> None:
    assert conversation_of(parsed(input="hi", reasoning={"effort": "none"})).thinks is False
    assert conversation_of(parsed(input="hi", reasoning={"effort": "minimal"})).effort == "low"
    assert conversation_of(parsed(input="hi", reasoning={"effort": "very"})).effort == "medium", "nobody knows it"


# -- which events an answer becomes -----------------------------------------------------------------------------

THINKING = (ReasoningDelta("h"), ReasoningDelta("m"))
SPEAKING = (ContentDelta("Hel"), ContentDelta("lo"))
CALLING = (
    CallDelta(0, "c1", "add", ""),
    CallDelta(0, "", "", '{"a":'),
    CallDelta(0, "", "", "1}"),
    CallDelta(1, "c2", "sub", "{}"),
)


def written(deltas: Iterable[Delta], reason: FinishReason = FinishReason.END_OF_TEXT) -> list[dict[str, Any]]:
    writer = new_writer()
    events = list(writer.opening(0))
    for delta in deltas:
        events += writer.part(0, (delta,), ())
    finished = ended(reason)
    return [*events, *writer.last(0, finished), *writer.closing([finished])]


def new_writer() -> ResponsesWriter:
    body = parsed(input="hi", metadata={"k": "v"}, reasoning={"effort": "low"}, text={"verbosity": "low"})
    return ResponsesWriter(ResponseHead(body, GenerationRequest((1,)), "m"), response_tools(()), FakeModel(), None)


def ended(reason: FinishReason) -> ChatFinished:
    return ChatFinished(reason, Usage(10, 4, 6, 0.1, 0.1), reasoning_tokens=2)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_the_order_of_events() -> None:
    assert kinds(written([*THINKING, *SPEAKING, *CALLING])) == [
        "created",
        "in_progress",
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]


def test_events_are_numbered_and_say_where_they_belong() -> None:
    events = written([*THINKING, *SPEAKING, *CALLING])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]
    ids = [event["item"]["id"] for event in added]
    assert len(set(ids)) == 4
    for event in events[2:-1]:
        item_id = event["item_id"] if "item_id" in event else event["item"]["id"]
        assert item_id == ids[event["output_index"]]
        if "content_part" in event["type"] or "text." in event["type"]:
            assert event["content_index"] == 0


def test_the_last_event_holds_what_the_others_built() -> None:
    events = written([*THINKING, *SPEAKING, *CALLING])
    response = events[-1]["response"]
    assert response["output"] == [event["item"] for event in events if event["type"] == "response.output_item.done"]
    thoughts, words, first, second = response["output"]
    assert thoughts["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert words["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]
    assert (first["call_id"], first["name"], first["arguments"]) == ("c1", "add", '{"a":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("c2", "sub", "{}")
    assert {item["status"] for item in response["output"]} == {"completed"}
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }
    assert (response["metadata"], response["reasoning"]["effort"]) == ({"k": "v"}, "low")
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}


def test_an_answer_that_broke_off_says_so() -> None:
    events = written([*THINKING, *SPEAKING], FinishReason.MAX_TOKENS)
    response = events[-1]["response"]
    assert events[-1]["type"] == "response.incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


def test_a_failure_in_the_middle_keeps_what_was_said() -> None:
    writer = new_writer()
    events = [*writer.opening(0), *writer.part(0, SPEAKING, ()), *writer.failed(Failure(500, "server_error", "oh"))]
    assert kinds(events)[-2:] == ["output_item.done", "failed"]
    response = events[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "server_error", "message": "oh"}
    assert response["output"][0]["content"][0]["text"] == "Hello"


def test_a_whole_answer_is_what_a_stream_builds() -> None:
    calls = (Call("c1", "add", '{"a":1}'), Call("c2", "sub", "{}"))
    for reason in (FinishReason.END_OF_TEXT, FinishReason.MAX_TOKENS):
        whole = new_writer().whole([ChatAnswer("Hello", "hm", calls, (), ended(reason))])
        streamed = written([*THINKING, *SPEAKING, *CALLING], reason)[-1]["response"]
        for one in (whole, streamed):
            for item in one["output"]:
                del item["id"]
            one["id"] = one["created_at"] = one["completed_at"] = None
        assert whole == streamed


# -- served -----------------------------------------------------------------------------------------------------


def test_a_stream_names_its_events(server: Server) -> None:
    raw = server.post(PATH, {"input": QUESTION, "temperature": 0, "stream": True})[1]
    events = [event.split("\n") for event in raw.strip().split("\n\n")]
    for name, data in events:
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
    assert events[-1][0] == "event: response.completed"


def test_probabilities(server: Server) -> None:
    request = {"input": QUESTION, "temperature": 0, "max_output_tokens": 4, "top_logprobs": 2}
    part = server.post(PATH, request)[1]["output"][0]["content"][0]
    assert "".join(one["token"] for one in part["logprobs"]) == part["text"]
    assert [len(one["top_logprobs"]) for one in part["logprobs"]] == [2] * 4
    raw = server.post(PATH, request | {"stream": True})[1]
    events = [json.loads(line[6:]) for line in raw.split("\n") if line.startswith("data: ")]
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert [one["id"] for delta in deltas for one in delta] == [one["id"] for one in part["logprobs"]]
    plain = server.post(PATH, {"input": QUESTION, "include": ["message.output_text.logprobs"]})[1]
    assert plain["output"][0]["content"][0]["logprobs"][0]["top_logprobs"] == []


def test_counting_is_what_is_counted(server: Server) -> None:
    body = {"input": QUESTION, "instructions": "Be brief."}
    _status, counted = server.post(f"{PATH}/input_tokens", body)
    _status, response = server.post("/responses", body | {"max_output_tokens": 1})
    assert counted == {"object": "response.input_tokens", "input_tokens": response["usage"]["input_tokens"]}


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("nothing", {}, "input"),
    ("no items", {"input": []}, "input"),
    ("an item of a wrong type", {"input": [{"type": 3}]}, "input[0].type"),
    ("nothing that can be read", {"input": [{"type": "web_search_call"}, {"type": "compaction"}]}, "input"),
    ("nobody's message", {"input": [{"content": "hi"}]}, "input[0].role"),
    ("a picture", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "text only"),
    ("a call of nothing", {"input": [{"type": "function_call", "arguments": "{}"}]}, "name"),
    ("what came before", {"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
    ("a conversation", {"input": "hi", "conversation": "conv_1"}, "conversation"),
    ("a stored prompt", {"input": "hi", "prompt": {"id": "p"}}, "prompt"),
    ("in the background", {"input": "hi", "background": True}, "background"),
    ("several answers", {"input": "hi", "n": 2}, "n:"),
    ("too many logprobs", {"input": "hi", "top_logprobs": 10**6}, "top_logprobs"),
    (
        "a demand for a tool nobody has",
        {"input": "hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
        "tool_choice",
    ),
    ("a demand for any tool of none", {"input": "hi", "tools": [{"type": "mcp"}], "tool_choice": "required"}, "none"),
    ("a function without a name", {"input": "hi", "tools": [{"type": "function"}]}, "tools[0]"),
    ("a choice nobody knows", {"input": "hi", "tools": TOOLS, "tool_choice": "perhaps"}, "tool_choice"),
    ("a choice of a hosted tool", {"input": "hi", "tools": TOOLS, "tool_choice": {"type": "mcp"}}, "tool_choice"),
    (
        "a choice that is not there",
        {"input": "hi", "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "x"}]}},
        "tool_choice",
    ),
    ("a format nobody knows", {"input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    ("a format without its schema", {"input": "hi", "text": {"format": {"type": "json_schema"}}}, "schema"),
]


@pytest.mark.parametrize(("body", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_requests(server: Server, body: dict[str, Any], says: str) -> None:
    for stream in (False, True):
        status, answer = server.post(PATH, body | {"stream": stream})
        assert status == 400, answer
        assert says in answer["error"]["message"]
