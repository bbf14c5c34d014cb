"""Templates of real models: known by their family, and what they write is read back as written."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from runtime.chat.answer import AnswerParser
from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.formats.format import core, first_text
from runtime.chat.messages import Message, ToolCall
from runtime.chat.parsing.parser import FormatParser
from support.answers import found_in
from support.families import BOTH, FAMILY, OTHERS, RESULT, SYSTEM, TOOLS, USER, builder_of
from support.gbnf import Gbnf
from support.templates import templates


def test_these_are_all_templates() -> None:
    assert set(templates()) == {*FAMILY, *OTHERS}


def test_families() -> None:
    assert {name: builder_of(name).prepare(Conversation((USER,))).expected.format.name for name in FAMILY} == FAMILY


@pytest.mark.parametrize("name", [*FAMILY, *(name for name in OTHERS if "firefunction" not in name)])
def test_what_a_template_writes_is_read_back(name: str) -> None:
    """Calls as the template itself writes them are parsed, and the grammar allows them, so all three agree.

    Firefunction's template wants variables that nobody gives it.
    """
    builder = builder_of(name)
    plain = builder.prepare(Conversation((USER,), TOOLS))
    shown = builder.prepare(Conversation((USER, Message("assistant", tool_calls=BOTH)), TOOLS)).text
    calls = plain.expected.format.calls
    begin = calls.section.begin if calls.section else first_text(calls.forms[0]) or '{"name"'
    place = shown.find(core(begin), shown.find(USER.content))
    if plain.expected.format.name == "gpt-oss":
        place = shown.find(" to=functions.get_weather")
    assert place >= 0, shown
    answer = shown[place:].removeprefix(plain.expected.opening)
    parser = FormatParser(msgspec.structs.replace(plain.expected, begun=False))
    _, _, found = parse(parser, without_end(answer))
    made = [[call.name, call.arguments] for call in BOTH]
    assert found in (made, made[:1])
    if name in FAMILY:
        required = builder.prepare(Conversation((USER,), TOOLS, ToolChoice("required"), thinks=False))
        grammar = Gbnf(required.grammar)
        text = without_end(answer).strip() if "to=functions" not in answer else without_end(answer)
        assert any(grammar.accepts(text[:end]) for end in range(len(text), len(text) // 2, -1)), (text, grammar.rules)


def without_end(answer: str) -> str:
    """`answer` up to what ends a turn."""
    ends = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "<|end_of_text|>", "<|END_OF_TURN_TOKEN|>", "[e~[",
            "<|call|>", "<seed:eos>", "<｜end▁of▁sentence｜>", "<|user|>", "<|assistant|>", "</assistant>",
            "<|role_end|>", "<end_of_turn>", "<turn|>", "<|end|>")  # fmt: skip
    return answer[: min([answer.find(end) for end in ends if end in answer], default=len(answer))]


def parse(parser: AnswerParser, text: str) -> Any:
    return found_in([*parser.push(text), *parser.finish()])


@pytest.mark.parametrize(
    ("name", "thinks", "begun"),
    [
        ("Qwen-Qwen3-0.6B", None, False),
        ("Qwen-Qwen3-0.6B", False, False),
        ("Qwen-QwQ-32B", True, True),
        ("Qwen-QwQ-32B", False, False),
        ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", None, True),
        ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", False, False),
        ("deepseek-ai-DeepSeek-V3.1", None, False),
        ("deepseek-ai-DeepSeek-V3.1", True, True),
        ("MiniMax-M2", None, True),
        ("MiniMax-M2", False, False),
        ("GLM-4.6", False, False),
        ("ByteDance-Seed-OSS", False, False),
    ],
)
def test_answers_begin_in_the_reasoning_that_a_prompt_begins(name: str, thinks: bool | None, begun: bool) -> None:
    prepared = builder_of(name).prepare(Conversation((USER,), thinks=thinks))
    span = prepared.expected.reasoning
    assert span is not None
    assert prepared.expected.begun == begun
    assert prepared.text.rstrip().endswith(span.begin) == begun
    if begun:
        assert parse(prepared.parser(), f"Hm.{span.end}\n\nYes.") == ("Yes.", "Hm.", [])
    else:
        assert parse(prepared.parser(), f"{span.begin}Hm.{span.end}\n\nYes.") == ("Yes.", "Hm.", [])
        assert parse(prepared.parser(), "Yes.") == ("Yes.", "", [])


def test_capabilities() -> None:
    def known(name: str) -> tuple[bool, bool]:
        builder = builder_of(name)
        return builder.takes_tools, builder.thinks

    assert known("Qwen-Qwen3-0.6B") == (True, True)
    assert known("Qwen-Qwen2.5-7B-Instruct") == (True, False)
    assert known("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B") == (False, True)
    assert known("google-gemma-2-2b-it") == (False, False)
    assert known("openai-gpt-oss-120b") == (True, True)


@pytest.mark.parametrize(
    "name", ["google-gemma-2-2b-it", "microsoft-Phi-3.5-mini-instruct", "deepseek-ai-DeepSeek-V3.1"]
)
def test_a_model_whose_template_knows_no_tools_is_told(name: str) -> None:
    """In its family's own format, if that is known; and turns that it cannot take are told as text."""
    builder = builder_of(name)
    conversation = Conversation((SYSTEM, USER, Message("assistant", tool_calls=BOTH), RESULT), TOOLS)
    prepared = builder.prepare(conversation)
    for word in ("Be brief.", "Zürich", "20 °C", '"name": "get_weather"', "example_function", "get_time"):
        assert word in prepared.text, word
    assert prepared.triggers is not None


def test_several_calls_become_turns_of_one_where_a_template_takes_one() -> None:
    builder = builder_of("meta-llama-Llama-3.1-8B-Instruct")
    second = Message("tool", "12:00", tool_call_id="a1B2c3D4f")
    prepared = builder.prepare(Conversation((USER, Message("assistant", tool_calls=BOTH), second, RESULT), TOOLS))
    places = [prepared.text.find(word) for word in ('"get_weather", "par', "20 °C", '"get_time", "par', "12:00")]
    assert -1 not in places
    assert places == sorted(places)


def test_ids_that_mistral_does_not_take_are_made_short() -> None:
    builder = builder_of("mistralai-Mistral-Nemo-Instruct-2407")
    for call_id, given in (("call_0123456789", "call_0123456789"), ("", None)):
        calls = Message("assistant", tool_calls=(ToolCall(call_id, "get_time", {}),))
        result = Message("tool", "12:00", tool_call_id=given)
        text = builder.prepare(Conversation((USER, calls, result), TOOLS)).text
        made = json.loads(text[text.index("[TOOL_CALLS]") + 12 : text.index("</s>")])[0]["id"]
        assert len(made) == 9
        assert f'"call_id": "{made}"' in text


def test_an_answer_is_continued() -> None:
    for name in ("Qwen-Qwen3-0.6B", "Qwen-Qwen2.5-7B-Instruct", "meta-llama-Llama-3.1-8B-Instruct", "GLM-4.6"):
        builder = builder_of(name)
        prepared = builder.prepare(Conversation((USER, Message("assistant", "It is ")), continues_last=True))
        assert prepared.text.endswith("It is ")
        assert parse(prepared.parser(), "sunny.") == ("sunny.", "", [])


def test_a_prompt_s_marks_are_shown_to_the_parser() -> None:
    prepared = builder_of("openai-gpt-oss-120b").prepare(Conversation((USER,), TOOLS))
    assert set(map(ord, "<|channel|>")) <= prepared.shown
    assert not builder_of("google-gemma-2-2b-it").prepare(Conversation((USER,))).shown
