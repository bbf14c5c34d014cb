"""Answers of every family: what is found in them, however they come in pieces."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.chat.answer import CallDelta, ContentDelta
from runtime.chat.formats.format import Span
from runtime.chat.parsing.expected import Expected
from runtime.chat.parsing.parser import FormatParser
from support.answers import ANSWERS, FORMATS, TIME, TOOLS, expected_of, found_in, joined, parsed


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


each_answer = pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer['format']}: {answer['name']}")


@each_answer
def test_what_is_in_an_answer(answer: dict[str, Any]) -> None:
    found = found_in(parsed(expected_of(answer), answer["text"]))
    assert found == (answer.get("content", ""), answer.get("thought", ""), answer.get("calls", []))


@each_answer
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_pieces_do_not_matter(answer: dict[str, Any], data: st.DataObject) -> None:
    text = answer["text"]
    cuts = data.draw(st.lists(st.integers(0, len(text))))
    expected = expected_of(answer)
    assert joined(parsed(expected, *pieces_of(text, cuts))) == joined(parsed(expected, text))
    assert joined(parsed(expected, *text)) == joined(parsed(expected, text))


@each_answer
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_answer_that_is_cut_off_is_the_beginning_of_the_whole(answer: dict[str, Any], data: st.DataObject) -> None:
    """Nothing is taken back, and nothing is closed that the model did not close."""
    text = answer["text"]
    end = data.draw(st.integers(0, len(text)))
    content, thought, calls = joined(parsed(expected_of(answer), text[:end], ends=False))
    whole_content, whole_thought, whole_calls = joined(parsed(expected_of(answer), text))
    assert whole_content.startswith(content)
    assert whole_thought.startswith(thought)
    for call, whole in zip(calls, whole_calls, strict=False):
        assert call[0] == whole[0]
        assert whole[1].startswith(call[1])


@given(text=st.text(alphabet='<>tool_cal/{}"nme: \n[]\\x', max_size=80), cut=st.integers(0, 80))
@settings(max_examples=300, deadline=None)
@pytest.mark.parametrize("name", FORMATS)
def test_anything_is_taken(name: str, text: str, cut: int) -> None:
    """A model may write what it likes: the parser neither raises nor depends on the pieces."""
    expected = Expected(FORMATS[name], TOOLS, Span("<t>", "</t>"))
    assert joined(parsed(expected, text[:cut], text[cut:])) == joined(parsed(expected, text))


def test_every_family_has_an_answer_with_a_call() -> None:
    assert {answer["format"] for answer in ANSWERS if answer.get("calls")} == set(FORMATS)


def test_content_comes_at_once() -> None:
    """But for what may be the beginning of a call."""
    parser = FormatParser(Expected(FORMATS["hermes"], TOOLS))
    assert parser.push("Hello") == (ContentDelta("Hello"),)
    assert parser.push(" you <") == (ContentDelta(" you"),)
    assert parser.push("b>, <tool_c") == (ContentDelta(" <b>,"),)
    assert parser.push("all>\n") == ()
    (first,) = parser.push('{"name": "get_time", "arguments": {"zo')
    assert isinstance(first, CallDelta)
    assert (first.index, first.name, first.arguments) == (0, "get_time", '{"zo')
    assert parser.push('ne": "UTC') == (CallDelta(0, "", "", 'ne": "UTC'),)
    assert parser.push('"}}') == (CallDelta(0, "", "", '"}'),)
    assert parser.finish() == ()


def test_without_tools_calls_are_content() -> None:
    text = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>'
    assert found_in(parsed(Expected(FORMATS["hermes"]), text)) == (text, "", [])


def test_thoughts_may_stay_in_the_content() -> None:
    span = Span("<think>", "</think>")
    expected = Expected(FORMATS["hermes"], (), span, splits_reasoning=False)
    assert found_in(parsed(expected, "<think>\nHm.\n</think>\n\nHello")) == ("<think>\nHm.\n</think>\n\nHello", "", [])
    begun = Expected(FORMATS["hermes"], (), span, begun=True, splits_reasoning=False)
    assert found_in(parsed(begun, "Hm.</think>Hello")) == ("<think>Hm.</think>Hello", "", [])


@pytest.mark.parametrize(
    ("name", "form"), [("hermes", r"call_\w{24}"), ("mistral-v13", r"\w{9}"), ("kimi-k2", r"functions\.get_time:4")]
)
def test_ids(name: str, form: str) -> None:
    text = next(a["text"] for a in ANSWERS if a["format"] == name and "get_time" in a["text"] and a.get("calls"))
    expected = Expected(FORMATS[name], (TIME,), calls_before=3)
    ids = [delta.id for delta in parsed(expected, text) if isinstance(delta, CallDelta) and delta.id]
    assert len(set(ids)) == len(ids) > 0
    assert re.fullmatch(form, ids[-1])
