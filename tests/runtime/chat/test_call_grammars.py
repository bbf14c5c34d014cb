"""Grammars of every family: they allow what models write, and nothing that is no call, content or thought."""

from __future__ import annotations

import random
from typing import Any

import pytest

from runtime.chat.formats.families import GENERIC
from runtime.chat.formats.format import Format, Span, core, first_text
from runtime.chat.grammar import Wanted, constraint_of
from runtime.chat.messages import Tool
from runtime.chat.parsing.expected import Expected
from runtime.engine.gbnf.reading import read_gbnf
from runtime.engine.gbnf.ways import Ways
from support.answers import ANSWERS, FORMATS, TIME, TOOLS, WEATHER, Found, expected_of, found_in, parsed
from support.gbnf import Gbnf
from support.schema_check import fits


def lazily_held(answer: dict[str, Any], **wanted: Any) -> tuple[Gbnf, str]:
    """The grammar of an answer's tools, and what of the answer it has to take: from the trigger on."""
    expected = expected_of(answer)
    constraint = constraint_of(
        Wanted(
            format=expected.format,
            tools=expected.tools,
            reasoning=expected.reasoning,
            begun=expected.begun,
            opening=expected.opening,
            **wanted,
        )
    )
    text = answer["text"]
    if constraint.triggers is not None:
        places = [text.find(word) for word in constraint.triggers.words if word in text]
        text = text[min(places) :]
    return Gbnf(constraint.grammar), text


STRICT = [
    answer
    for answer in ANSWERS
    if answer.get("calls")
    and answer["name"] not in ("arguments before the name", "arguments in a string")
    and "nobody asked for" not in answer["name"]
    and answer["calls"] != [["allot", {"n": 1}]]
]
"""Answers in the one way that grammars allow."""


@pytest.mark.parametrize("answer", STRICT, ids=lambda answer: f"{answer['format']}: {answer['name']}")
def test_grammars_allow_what_models_write(answer: dict[str, Any]) -> None:
    grammar, text = lazily_held(answer)
    assert grammar.accepts(text)
    assert not grammar.accepts(text.replace("get_weather", "get_whether").replace("get_time", "get_thyme"))
    assert grammar.most_ways <= 60


def parse_sample(format: Format, text: str, **values: Any) -> Found:
    return found_in(parsed(Expected(format, TOOLS, **values), text))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("parallel", [True, False])
def test_what_a_grammar_allows_is_a_call_that_fits(name: str, parallel: bool) -> None:
    """Whatever is written under the grammar of a call that has to come is parsed, is JSON, and follows the schema."""
    format = FORMATS[name]
    tools = (WEATHER, TIME)
    opening = format.opening
    constraint = constraint_of(Wanted(format, tools, must_call=True, parallel=parallel, opening=opening))
    assert constraint.triggers is None
    assert len(Ways(read_gbnf(constraint.grammar), "root")) <= 10, "the engine follows it beside llama.cpp"
    grammar = Gbnf(constraint.grammar)
    schemas = {tool.name: tool.parameters for tool in tools}
    for seed in range(30):
        text = grammar.sample(random.Random(seed), 60)
        content, _thought, calls = parse_sample(format, text, opening=opening)
        assert content == "", text
        assert calls, text
        assert len(calls) == 1 or (parallel and format.calls.parallel)
        for called, arguments in calls:
            assert fits(arguments, schemas[called]), text


@pytest.mark.parametrize("name", FORMATS)
def test_reasoning_may_come_before_a_call_that_has_to_come(name: str) -> None:
    format = FORMATS[name]
    span = format.reasoning or Span("<think>", "</think>")
    opening = format.opening
    wanted = Wanted(format, (TIME,), must_call=True, reasoning=span, opening=opening)
    grammar = Gbnf(constraint_of(wanted).grammar)
    call = Gbnf(constraint_of(Wanted(format, (TIME,), must_call=True, opening=opening)).grammar)
    called = call.sample(random.Random(1), 20)
    begun = f"{core(span.begin)}Hm, {first_text(format.calls.forms[0]) or 'well'}.{core(span.end)}"
    between = opening if format.channels else "\n\n"
    assert grammar.accepts(called)
    assert grammar.accepts(f"{begun}{between}{called}")
    assert not grammar.accepts(begun)
    assert not grammar.begins("Hello")
    if not format.channels:
        inside = Gbnf(constraint_of(Wanted(format, (TIME,), must_call=True, reasoning=span, begun=True)).grammar)
        assert inside.accepts(f"Hm.{core(span.end)}\n{called}")
        assert not inside.accepts("Hm.")


def test_calls_in_thoughts_do_not_begin_the_grammar() -> None:
    """What looks like a call while the model thinks is none, to the grammar as to the parser."""
    answer = ANSWERS[0]
    grammar, text = lazily_held(answer)
    assert text.startswith("<think>")
    assert grammar.accepts("<think>I write <tool_call> in here</think>Hello")
    assert grammar.accepts("<think>never ended")
    assert not grammar.begins("<think></think>Hello <tool_call>x")
    begun, text = lazily_held(ANSWERS[0] | {"begun": True, "text": "<tool_call></think>Hello"})
    assert text == "</think>Hello"
    assert begun.accepts(text)


def test_a_bare_call_is_told_from_content_by_its_first_key() -> None:
    constraint = constraint_of(Wanted(FORMATS["llama-3"], (TIME,)))
    assert constraint.triggers is None
    grammar = Gbnf(constraint.grammar)
    for text in ("", "Hello", ' {"a": {"name": 1}}', '{"name": "get_time", "parameters": {}}', "{", 'a {"name": 3}'):
        assert grammar.accepts(text), text
    for text in ('{"name": "Ada"}', ' { "name"', "<|python_tag|>print(1)"):
        assert not grammar.accepts(text), text


@pytest.mark.parametrize("name", FORMATS)
def test_content_can_have_a_form(name: str) -> None:
    """A schema or a client's grammar, behind reasoning or not, and beside tools that may be called instead."""
    format = FORMATS[name]
    opening = format.opening
    begin = format.content[0][len(opening) if format.content[0].startswith(opening) else 0 :] if format.channels else ""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    span = format.reasoning or Span("<think>", "</think>")
    between = opening if format.channels else "\n\n"
    for form in ({"schema": schema}, {"grammar": 'root ::= "{" inner "}"\ninner ::= "\\"a\\": " [0-9]+\n'}):
        plain = Gbnf(constraint_of(Wanted(format, opening=opening, **form)).grammar)
        assert plain.accepts(f'{begin}{{"a": 1}}')
        reasoning = Gbnf(constraint_of(Wanted(format, reasoning=span, opening=opening, **form)).grammar)
        assert reasoning.accepts(f'{begin}{{"a": 1}}')
        assert reasoning.accepts(f'{core(span.begin)}x{core(span.end)}{between}{begin}{{"a": 1}}')
        assert not reasoning.begins(f"{begin}x")
        called = Gbnf(constraint_of(Wanted(format, (TIME,), opening=opening, **form)).grammar)
        assert called.accepts(f'{begin}{{"a": 1}}')


def test_names_are_written_as_they_are() -> None:
    odd = Tool('a "b\\é/c', parameters={"properties": {'x"y': {"type": "integer"}}})
    for name in ("hermes", "functionary-v3.1", "qwen3-coder"):
        grammar = Gbnf(constraint_of(Wanted(FORMATS[name], (odd,), must_call=True)).grammar)
        text = grammar.sample(random.Random(3), 40)
        content, _, calls = found_in(parsed(Expected(FORMATS[name], (odd,)), text))
        assert content == ""
        assert {called for called, _ in calls} == {odd.name}


def test_tools_whose_schemas_cannot_be_followed_take_any_object() -> None:
    strange = Tool("strange", parameters={"type": "object", "properties": {"a": {"not": {"type": "null"}}}})
    huge = Tool(
        "huge", parameters={"properties": {"a": {"type": "string", "pattern": "^(((a{1,1000}){1,1000}){1,1000})$"}}}
    )
    grammar = Gbnf(constraint_of(Wanted(GENERIC, (strange, TIME), must_call=True)).grammar)
    assert grammar.accepts('<tool_call>{"name": "strange", "arguments": {"b": [1]}}</tool_call>')
    assert not grammar.accepts('<tool_call>{"name": "get_time", "arguments": {"b": [1]}}</tool_call>')
    grammar = Gbnf(constraint_of(Wanted(GENERIC, (huge, TIME), must_call=True)).grammar)
    assert grammar.accepts('<tool_call>{"name": "huge", "arguments": {"b": [1]}}</tool_call>')


IMPOSSIBLE: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 1}}, "required": ["a"]},
    {"type": "object", "properties": {"a": False}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string", "minLength": 3, "maxLength": 1}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]},
    {"type": "object", "allOf": [{"type": "string"}]},
    {"type": "object", "properties": {}, "additionalProperties": False, "required": ["a"]},
]


@pytest.mark.parametrize("schema", IMPOSSIBLE, ids=str)
def test_tools_whose_schemas_contradict_themselves_take_any_object(schema: dict[str, Any]) -> None:
    """And the others are held to theirs."""
    odd = Tool("odd", parameters=schema)
    for tools in ((odd,), (TIME, odd, Tool("other", parameters=schema))):
        for must_call in (True, False):
            grammar = Gbnf(constraint_of(Wanted(GENERIC, tools, must_call=must_call)).grammar)
            assert grammar.accepts('<tool_call>{"name": "odd", "arguments": {"b": "x"}}</tool_call>')
            assert not grammar.accepts('<tool_call>{"name": "get_time", "arguments": {"b": "x"}}</tool_call>')
    tagged = Gbnf(constraint_of(Wanted(FORMATS["qwen3-coder"], (odd,), must_call=True)).grammar)
    sample = tagged.sample(random.Random(3), 40)
    assert found_in(parsed(Expected(FORMATS["qwen3-coder"], (odd,)), sample))[2][0][0] == "odd"


def test_tools_may_refer_to_their_own_definitions() -> None:
    tool = Tool(
        "move",
        parameters={
            "type": "object",
            "properties": {"to": {"$ref": "#/$defs/place"}, "how": {"$ref": "#/$defs/how"}},
            "required": ["to", "how"],
            "$defs": {
                "place": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
                "how": {"enum": ["fast", "slow"]},
            },
        },
    )
    as_json = Gbnf(constraint_of(Wanted(GENERIC, (tool,), must_call=True)).grammar)
    assert as_json.accepts('<tool_call>{"name": "move", "arguments": {"to": {"x": 1}, "how": "fast"}}</tool_call>')
    assert not as_json.accepts('<tool_call>{"name": "move", "arguments": {"to": {"x": 1}, "how": "odd"}}</tool_call>')
    tagged = FORMATS["qwen3-coder"]
    text = "<tool_call><function=move><parameter=to>{}</parameter><parameter=how>{}</parameter></function></tool_call>"
    grammar = Gbnf(constraint_of(Wanted(tagged, (tool,), must_call=True)).grammar)
    assert grammar.accepts(text.format('{"x": 1}', "slow"))
    assert not grammar.accepts(text.format('{"x": 1}', "odd"))
    assert not grammar.accepts(text.format('"x"', "slow"))
    assert found_in(parsed(Expected(tagged, (tool,)), text.format('{"x": 1}', "slow")))[2] == [
        ["move", {"to": {"x": 1}, "how": "slow"}]
    ]
