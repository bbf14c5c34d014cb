"""`/v1/chat/completions` and `/v1/completions`: what clients' libraries do not reach, and bad input."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.conversation import ToolChoice
from runtime.engine.types import FinishReason, Usage
from runtime.server.chat_messages import conversation
from runtime.server.chatting import Call, ChatAnswer, ChatFinished
from runtime.server.openai.chat import ChatRequest
from runtime.server.openai.chat_writer import ChatShape, ChatWriter
from runtime.server.refusals import BadRequest
from support.bundles import Server
from support.fakes import FakeModel

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
HELLO = [{"role": "user", "content": "hello"}]
QUESTION = [{"role": "user", "content": "Who was the first man on the moon?"}]
MOON = "The first man on the moon was"
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def parsed(**fields: Any) -> ChatRequest:
    return msgspec.convert({"messages": HELLO} | fields, ChatRequest)


def test_a_stream_tells_how_far_its_prompt_is(server: Server) -> None:
    long = [{"role": "user", "content": "A prompt that is told of while it is computed. " * 40}]
    wanted = {"messages": long, "max_tokens": 2, "return_progress": True, "cache_prompt": False}
    chunks = [json.loads(data) for _when, data in server.stream(CHAT, wanted)[:-1]]
    told = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
    assert (told[0]["processed"], told[0]["cache"]) == (0, 0)
    assert told[-1]["processed"] == told[-1]["total"] == chunks[-1]["timings"]["prompt_n"]
    assert not any(one["choices"][0]["delta"].get("content") for one in chunks if "prompt_progress" in one)
    quiet = [json.loads(data) for _when, data in server.stream(CHAT, wanted | {"return_progress": False})[:-1]]
    assert not any("prompt_progress" in chunk for chunk in quiet)


# -- what a request means ---------------------------------------------------------------------------------------

BEGUN = [*HELLO, {"role": "assistant", "content": "Hel"}]
CALLED = [*HELLO, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "add", "arguments": {}}}]}]
CONTINUED: list[tuple[str, dict[str, Any], bool]] = [
    ("a user's message", {"messages": HELLO}, False),
    ("an answer", {"messages": BEGUN}, True),
    ("an answer, as vLLM says it", {"continue_final_message": True, "add_generation_prompt": False}, True),
    ("an answer, in llama-server's words", {"continue_final_message": "content"}, True),
    ("an answer that is whole", {"continue_final_message": False}, False),
    ("a turn is begun", {"add_generation_prompt": True}, False),
    ("calls", {"messages": CALLED}, False),
    ("no turn is begun", {"messages": HELLO, "add_generation_prompt": False}, False),
]


@pytest.mark.parametrize(("fields", "expected"), [r[1:] for r in CONTINUED], ids=[r[0] for r in CONTINUED])
def test_which_answers_are_continued(fields: dict[str, Any], expected: bool) -> None:
    assert conversation(parsed(**({"messages": BEGUN} | fields))).continues_last is expected


NOT_CONTINUED: list[dict[str, Any]] = [
    {"continue_final_message": True},
    {"messages": CALLED, "continue_final_message": True},
    {"messages": BEGUN, "continue_final_message": True, "add_generation_prompt": True},
]


@pytest.mark.parametrize("fields", NOT_CONTINUED, ids=json.dumps)
def test_what_cannot_be_continued(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        conversation(parsed(**fields))


THOUGHTS: list[tuple[dict[str, Any], bool | None, str | None, bool]] = [
    ({}, None, None, True),
    ({"reasoning_effort": "none"}, False, None, True),
    ({"reasoning_effort": "minimal"}, None, "low", True),
    ({"reasoning_effort": "high"}, None, "high", True),
    ({"chat_template_kwargs": {"enable_thinking": False}}, False, None, True),
    ({"chat_template_kwargs": {"enable_thinking": True, "x": 1}}, True, None, True),
    ({"reasoning_format": "none"}, None, None, False),
    ({"reasoning_format": "auto"}, None, None, True),
]


@pytest.mark.parametrize(("fields", "thinks", "effort", "splits"), THOUGHTS, ids=[str(row[0]) for row in THOUGHTS])
def test_how_much_is_thought(fields: dict[str, Any], thinks: bool | None, effort: str | None, splits: bool) -> None:
    asked = conversation(parsed(**fields))
    assert (asked.thinks, asked.effort, asked.splits_reasoning) == (thinks, effort, splits)
    assert asked.template_values == fields.get("chat_template_kwargs", {})


def test_functions_are_tools() -> None:
    asked = conversation(parsed(functions=[TOOL["function"]], function_call={"name": "add"}))
    assert ([tool.name for tool in asked.tools], asked.tool_choice) == (["add"], ToolChoice(name="add"))
    assert not asked.parallel_calls


def test_arguments_may_be_objects() -> None:
    (call,) = conversation(parsed(messages=CALLED)).messages[-1].tool_calls
    assert call.arguments == {}


def test_thoughts_come_in() -> None:
    messages = [{"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}]
    assert conversation(parsed(messages=messages)).messages[0].reasoning == "2 + 2"


# -- what an answer looks like -----------------------------------------------------------------------------------

DELTAS: tuple[Delta, ...] = (
    ReasoningDelta("hm"),
    ContentDelta("I look."),
    CallDelta(0, "c1", "add", ""),
    CallDelta(0, "", "", '{"a":'),
    CallDelta(0, "", "", "1}"),
)
FINISHED = ChatFinished(FinishReason.END_OF_TEXT, Usage(10, 4, 6, 0.1, 0.1), reasoning_tokens=2)


def written(*, functions: bool = False, usage: bool = False) -> list[dict[str, Any]]:
    writer = new_writer(functions=functions, usage=usage)
    parts = [chunk for delta in DELTAS for chunk in writer.part(0, (delta,), ())]
    return [*writer.opening(0), *parts, *writer.last(0, FINISHED), *writer.closing([FINISHED])]


def new_writer(*, functions: bool = False, usage: bool = False) -> ChatWriter:
    return ChatWriter(FakeModel(), "m", ChatShape(usage, None, functions))


def test_every_part_has_its_place_in_a_stream() -> None:
    choices = [chunk["choices"][0] for chunk in written()]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": None},
        {"reasoning_content": "hm"},
        {"content": "I look."},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None] * 6 + ["tool_calls"]


def test_functions_in_a_stream() -> None:
    choices = [chunk["choices"][0] for chunk in written(functions=True)]
    assert [choice["delta"] for choice in choices[3:]] == [
        {"function_call": {"name": "add", "arguments": ""}},
        {"function_call": {"arguments": '{"a":'}},
        {"function_call": {"arguments": "1}"}},
        {},
    ]
    assert choices[-1]["finish_reason"] == "function_call"


def test_usage_comes_last_where_it_is_asked_for() -> None:
    *_chunks, last = written(usage=True)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 6,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert not any("usage" in chunk for chunk in written())


def test_a_whole_answer() -> None:
    answer = ChatAnswer("", "hm", (Call("c1", "add", '{"a":1}'),), (), FINISHED)
    (choice,) = new_writer().whole([answer])["choices"]
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]}
    assert (choice["message"], choice["finish_reason"]) == (message, "tool_calls")
    (choice,) = new_writer(functions=True).whole([answer])["choices"]
    assert choice["message"]["function_call"] == call["function"]
    cut = msgspec.structs.replace(FINISHED, reason=FinishReason.MAX_TOKENS)
    (choice,) = new_writer().whole([msgspec.structs.replace(answer, finished=cut)])["choices"]
    assert choice["finish_reason"] == "length"


# -- served -----------------------------------------------------------------------------------------------------


def test_counting_is_what_is_counted(server: Server) -> None:
    _status, counted = server.post(f"{CHAT}/input_tokens", {"messages": QUESTION})
    _status, answered = server.post("/chat/completions", {"messages": QUESTION, "max_tokens": 1})
    assert counted == {"object": "response.input_tokens", "input_tokens": answered["usage"]["prompt_tokens"]}


def test_what_is_of_no_use_here_is_ignored(server: Server) -> None:
    fields = {
        "store": True,
        "metadata": {"a": "b"},
        "user": "me",
        "service_tier": "flex",
        "modalities": ["text"],
        "parallel_tool_calls": None,
        "prediction": None,
        "stream_options": None,
    }
    assert server.post(CHAT, {"messages": HELLO, "max_tokens": 1} | fields)[0] == 200


def test_cached_tokens_are_counted(server: Server) -> None:
    request = {"messages": [{"role": "user", "content": "A question that nobody else asks. " * 5}], "max_tokens": 1}
    server.post(CHAT, request)
    _status, body = server.post(CHAT, request)
    details = body["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] == body["usage"]["prompt_tokens"] - 1 == body["timings"]["cache_n"]


BAD_CHATS: list[tuple[str, dict[str, Any], str]] = [
    ("sounds", {"modalities": ["text", "audio"]}, "modalities"),
    ("a voice", {"audio": {"voice": "x", "format": "wav"}}, "must be text"),
    ("a sound", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "text only"),
    ("an effort that is no word", {"reasoning_effort": 3}, "reasoning_effort"),
    ("a format of thoughts nobody knows", {"reasoning_format": "x"}, "reasoning_format"),
    ("a word for a switch", {"chat_template_kwargs": {"enable_thinking": "no"}}, "enable_thinking"),
    ("tools and functions", {"tools": [TOOL], "functions": []}, "functions"),
    ("a function without a name", {"tools": [{"type": "function"}]}, "tools[0].name"),
    ("a choice nobody knows", {"tools": [TOOL], "tool_choice": "perhaps"}, "tool_choice"),
    ("a choice of another kind", {"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
    (
        "a choice that is not there",
        {
            "tools": [TOOL],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"function": {"name": "x"}}]}},
        },
        "tool_choice",
    ),
    ("the user's words gone on with", {"continue_final_message": True}, "continue_final_message"),
    ("negative n", {"n": -1}, "n:"),
]


@pytest.mark.parametrize(("fields", "says"), [r[1:] for r in BAD_CHATS], ids=[r[0] for r in BAD_CHATS])
def test_bad_chats(server: Server, fields: dict[str, Any], says: str) -> None:
    for stream in (False, True):
        status, body = server.post(CHAT, {"messages": HELLO, "stream": stream} | fields)
        assert status == 400, body
        assert says in body["error"]["message"]


# -- completions ------------------------------------------------------------------------------------------------


def test_a_completion_s_probabilities(server: Server) -> None:
    request = {"prompt": MOON, "temperature": 0, "max_tokens": 5, "logprobs": 2}
    _status, body = server.post(COMPLETIONS, request)
    (choice,) = body["choices"]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        assert choice["text"][offset:].startswith(token)
    for token, logprob, top in zip(*(logprobs[k] for k in ("tokens", "token_logprobs", "top_logprobs")), strict=True):
        assert len(top) == 2
        assert logprob == top[token] == max(top.values())
    chunks = [json.loads(data) for _when, data in server.stream(COMPLETIONS, request)[:-1]]
    streamed = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    for key in ("tokens", "text_offset"):
        assert [value for one in streamed if one for value in one[key]] == logprobs[key]


def test_the_best_of_several(server: Server) -> None:
    request = {"prompt": MOON, "temperature": 1.5, "max_tokens": 8, "seed": 3}
    _status, every = server.post(COMPLETIONS, request | {"n": 6, "logprobs": 0})
    _status, best = server.post(COMPLETIONS, request | {"n": 2, "best_of": 6})
    likely = sorted(
        every["choices"], key=lambda choice: -sum(choice["logprobs"]["token_logprobs"]) / choice_length(choice)
    )
    assert [choice["text"] for choice in best["choices"]] == [choice["text"] for choice in likely[:2]]
    assert [choice["index"] for choice in best["choices"]] == [0, 1]
    assert best["usage"]["completion_tokens"] == every["usage"]["completion_tokens"]


def choice_length(choice: dict[str, Any]) -> int:
    return len(choice["logprobs"]["token_logprobs"])


def test_prompts_of_tokens(server: Server) -> None:
    _status, body = server.post(COMPLETIONS, {"prompt": [[1, 2], [3]], "max_tokens": 1, "echo": True})
    assert len(body["choices"]) == 2
    assert body["usage"]["prompt_tokens"] == 3
    _status, one = server.post(COMPLETIONS, {"prompt": [1, 2], "max_tokens": 0, "echo": True})
    assert body["choices"][0]["text"].startswith(one["choices"][0]["text"])
    assert one["usage"]["completion_tokens"] == 0


BAD_COMPLETIONS: list[tuple[str, dict[str, Any], str]] = [
    ("no prompts", {"prompt": []}, "prompt"),
    ("an empty prompt", {"prompt": ["a", ""]}, "empty"),
    ("tokens and lists", {"prompt": [1, [2]]}, "prompt"),
    ("too many prompts", {"prompt": ["a"] * 129}, "prompt"),
    ("too many answers", {"prompt": ["a"] * 100, "n": 100}, "answers"),
    ("the best of nothing", {"best_of": 0}, "best_of"),
    ("the best of fewer", {"best_of": 2, "n": 3}, "best_of"),
    ("the best as a stream", {"best_of": 2, "stream": True}, "best_of"),
    ("probabilities of the prompt", {"echo": True, "logprobs": 1}, "echo"),
    ("too many probabilities", {"logprobs": 21}, "logprobs"),
    ("negative probabilities", {"logprobs": -1}, "logprobs"),
    ("a suffix", {"suffix": "x"}, "suffix"),
    ("fewer than no tokens", {"max_tokens": -2}, "max_tokens"),
]


@pytest.mark.parametrize(("fields", "says"), [r[1:] for r in BAD_COMPLETIONS], ids=[r[0] for r in BAD_COMPLETIONS])
def test_bad_completions(server: Server, fields: dict[str, Any], says: str) -> None:
    status, body = server.post(COMPLETIONS, {"prompt": "x", "max_tokens": 1} | fields)
    assert status == 400, body
    assert says in body["error"]["message"]


def test_hostile_values(server: Server) -> None:
    for fields in (
        {"logit_bias": {"foo": 0}},
        {"seed": -9007199254740991},
        {"model": "unknown"},
        {"max_tokens": 2**62},
    ):
        request = {"messages": HELLO, "prompt": "x", "stop": ["a"], "temperature": 0} | fields
        for path in (CHAT, COMPLETIONS):
            assert server.post(path, request)[0] == 200
