"""Chats without a model: tools, a tokenizer of characters, and what is found in the pieces of an answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.messages import Tool
from support.fakes import FACTS

WEATHER = Tool(
    "get_weather",
    "The weather of a place.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
)
TIME = Tool("get_time", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})

Found = tuple[str, str, list[list[Any]]]


def joined(deltas: list[Delta]) -> tuple[str, str, list[list[str]]]:
    """Content, thought, and each call's name and arguments, as they are written."""
    calls: dict[int, list[str]] = {}
    for delta in deltas:
        if isinstance(delta, CallDelta):
            if delta.index not in calls:
                assert delta.id, "a call begins with its id"
                assert delta.name, "and with its name"
                calls[delta.index] = [delta.name, ""]
            else:
                assert (delta.id, delta.name) == ("", "")
            calls[delta.index][1] += delta.arguments
    assert list(calls) == list(range(len(calls)))
    content = "".join(delta.text for delta in deltas if isinstance(delta, ContentDelta))
    thought = "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta))
    return content, thought, list(calls.values())


def found_in(deltas: list[Delta]) -> Found:
    content, thought, calls = joined(deltas)
    return content, thought, [[name, json.loads(arguments)] for name, arguments in calls]


class Characters:
    """A tokenizer whose tokens are characters; the BOS it adds is token -1."""

    def __init__(self, **facts: Any) -> None:
        self.facts = msgspec.structs.replace(FACTS, **facts)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        assert parse_special, "a template's control tokens are tokens"
        bos = (-1,) if add_special and self.facts.adds_bos else ()
        return bos + tuple(map(ord, text))
