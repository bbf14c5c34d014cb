"""Conversations of every shape, in every template: the prompt is made, and holds each text once and in order."""

from __future__ import annotations

import itertools
import re
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.chat.conversation import Conversation
from runtime.chat.messages import Message, ToolCall
from runtime.chat.prompt import PromptBuilder
from support.answers import TIME, WEATHER
from support.characters import Characters
from support.families import FAMILY, OTHERS
from support.templates import templates

_TURN = "<{{ m.role }}>{{ m.content }}</{{ m.role }}>"

HOSTILE = {
    "the system only first": "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
    "{{ raise_exception('the system speaks first') }}{% endif %}" + _TURN + "{% endfor %}",
    "strictly alternating": "{% for m in messages %}{% if m.role != ('user', 'assistant')[loop.index0 % 2] %}"
    "{{ raise_exception('user and assistant take turns') }}{% endif %}"
    "{% if not m.content and loop.index0 %}{{ raise_exception('say something') }}{% endif %}" + _TURN + "{% endfor %}",
}

NAMES = (*HOSTILE, *FAMILY, *OTHERS)


@cache
def builder_of(name: str) -> PromptBuilder:
    source = HOSTILE.get(name) or templates()[name]
    return PromptBuilder(Characters(chat_template=source, bos="<s>", eos="</s>"), None)


# -- any conversation -------------------------------------------------------------------------------------------

PARTS = ("system", "developer", "user", "says", "thinks", "silent", "call", "calls", "said call", "lost calls", "stray")
"""Kinds of turns; those with calls bring their results, but for the lost ones. Strays are results of no call."""

WORD = re.compile(r"qw\d+q")


def conversation_of(parts: list[str]) -> list[Message]:
    """A turn for each, with a word of its own wherever there is a text."""
    turns: list[Message] = []
    count = 0

    def word() -> str:
        nonlocal count
        count += 1
        return f"qw{count}q"

    for part in parts:
        if part in ("system", "developer", "user"):
            turns.append(Message(part, word()))
        elif part == "stray":
            turns.append(Message("tool", word(), tool_call_id="strayed", name="get_time"))
        elif "call" in part:
            said = word() if part in ("said call", "lost calls") else ""
            reasoning = "Hm." if part == "lost calls" else ""
            many = 2 if "calls" in part else 1
            made = tuple(ToolCall(f"call_{count}_{i}", "get_time", {"zone": word()}) for i in range(many))
            turns.append(Message("assistant", said, reasoning, made))
            if part != "lost calls":
                turns += [Message("tool", word(), tool_call_id=call.id, name="get_time") for call in made]
        else:
            content = "" if part == "silent" else word()
            turns.append(Message("assistant", content, "Hm." if part == "thinks" else ""))
    return turns


def orders_of(text: str, turns: list[Message]) -> list[list[str]]:
    """The words of `text` in two orders: without results and without calls, for a result may follow its own call.

    Both without those of the system at the front, which templates gather where they like.
    """
    words = WORD.findall(text)
    assert sorted(words) == sorted(words_of(turns)), text
    front = {turn.content for turn in itertools.takewhile(lambda turn: turn.role in ("system", "developer"), turns)}
    results = {turn.content for turn in turns if turn.role == "tool"}
    calls = {str(call.arguments["zone"]) for turn in turns for call in turn.tool_calls}
    return [[word for word in words if word not in front | left_out] for left_out in (results, calls)]


def words_of(turns: list[Message]) -> list[str]:
    words: list[str] = []
    for turn in turns:
        words += [turn.content] if turn.content else []
        words += [str(call.arguments["zone"]) for call in turn.tool_calls]
    return words


@pytest.mark.parametrize("name", NAMES)
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=7), tools=st.booleans())
@example(parts=["system", "system", "developer", "user"], tools=False)
@example(parts=["system", "stray"], tools=False)
@example(parts=["system", "call", "system"], tools=True)
@example(parts=["user", "said call", "user", "said call", "says", "user"], tools=True)
@settings(max_examples=40, deadline=None)
def test_every_text_is_there_once_and_in_order(name: str, parts: list[str], tools: bool) -> None:
    turns = conversation_of(parts)
    text = builder_of(name).prepare(Conversation(tuple(turns), (WEATHER, TIME) if tools else ())).text
    assert orders_of(text, turns) == orders_of(" ".join(words_of(turns)), turns), text


# -- what becomes of turns that a template does not expect ---------------------------------------------------------


def test_where_everything_goes_that_has_no_place() -> None:
    call = ToolCall("c1", "get_time", {"zone": "UTC"})
    turns = (
        Message("system", "s1"),
        Message("developer", "s2"),
        Message("assistant", "a1"),
        Message("assistant"),
        Message("assistant", "a2", tool_calls=(call,)),
        Message("tool", "r1", tool_call_id="c1"),
        Message("user", "u1"),
        Message("developer", "s3"),
        Message("critic", "c1"),
        Message("assistant", "a3"),
    )
    assert builder_of("strictly alternating").prepare(Conversation(turns)).text == (
        "<user>s1\n\ns2</user>"
        '<assistant>a1\n\na2\n<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call></assistant>'
        "<user><tool_response>\nr1\n</tool_response>\n\nu1\n\n<system>\ns3\n</system>\n\n<critic>\nc1\n</critic></user>"
        "<assistant>a3</assistant>"
    )
    assert builder_of("the system only first").prepare(Conversation((*turns[:2], *turns[6:8]))).text == (
        "<system>s1\n\ns2</system><user>u1</user><user><system>\ns3\n</system></user>"
    )


def test_what_the_user_says_behind_a_result_is_in_it_where_the_sides_alternate() -> None:
    """So the model answers to both; an empty answer between them would be an example to it."""
    call = Message("assistant", tool_calls=(ToolCall("c1", "get_time", {}),))
    turns = (Message("user", "q"), call, Message("tool", "r", tool_call_id="c1"), Message("user", "hurry"))
    text = builder_of("mistralai-Mistral-Nemo-Instruct-2407").prepare(Conversation(turns)).text
    assert '[TOOL_RESULTS]{"content": r\n\n<user>\nhurry\n</user>, ' in text


def test_calls_of_one_id_are_answered_one_by_one() -> None:
    calls = Message("assistant", tool_calls=tuple(ToolCall("c", "get_time", {"zone": zone}) for zone in "ab"))
    results = tuple(Message("tool", text, tool_call_id="c") for text in ("r1", "r2"))
    text = (
        builder_of("meta-llama-Llama-3.1-8B-Instruct")
        .prepare(Conversation((Message("user", "q"), calls, *results)))
        .text
    )
    assert text.count("r1") == text.count("r2") == 1


@pytest.mark.parametrize("name", ["the system only first", "Qwen-Qwen3-0.6B", "google-gemma-2-2b-it"])
def test_a_conversation_that_goes_on_begins_as_it_did(name: str) -> None:
    """Whatever the system says later: else all of the prompt would be computed anew."""
    turns = [Message("system", "s1"), Message("user", "u1"), Message("assistant", "a1"), Message("user", "u2")]
    later = [*turns, Message("assistant", "a2"), Message("system", "s2"), Message("user", "u3")]
    first, second = (builder_of(name).prepare(Conversation(tuple(one))).text for one in (turns, later))
    assert second.startswith(first[: first.index("u2") + 2])
