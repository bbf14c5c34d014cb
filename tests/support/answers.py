"""Answers of models of every family (`tests/data/answers.toml`), and what is found in them."""

from __future__ import annotations

import json
from typing import Any

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.formats.families import FAMILIES, GENERIC
from runtime.chat.formats.format import Format, Span
from runtime.chat.messages import Tool
from runtime.chat.parsing.expected import Expected
from runtime.chat.parsing.parser import FormatParser
from support.places import DATA

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

FORMATS: dict[str, Format] = {format.name: format for format in (*FAMILIES, GENERIC)}
ANSWERS: list[dict[str, Any]] = tomllib.loads((DATA / "answers.toml").read_text(encoding="utf-8"))["answer"]

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
TOOLS = (WEATHER, TIME, Tool("allot"))

Found = tuple[str, str, list[list[Any]]]


def expected_of(answer: dict[str, Any], **changes: Any) -> Expected:
    values = {
        "format": FORMATS[answer["format"]],
        "tools": TOOLS,
        "reasoning": Span(*answer["reasoning"]) if "reasoning" in answer else None,
        "begun": answer.get("begun", False),
        "opening": answer.get("opening", ""),
    }
    return Expected(**(values | changes))


def parsed(expected: Expected, *pieces: str, ends: bool = True) -> list[Delta]:
    parser = FormatParser(expected)
    deltas = [delta for piece in pieces for delta in parser.push(piece)]
    return deltas + list(parser.finish() if ends else ())


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
