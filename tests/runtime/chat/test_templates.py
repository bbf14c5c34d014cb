"""Templates of real models: rendered as `transformers` renders them, known by their family, read back as written."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from support.chats import TIME, WEATHER, Characters, found_in
from support.gbnf import Gbnf
from support.templates import FAMILY, OTHERS, templates

from runtime.chat.answer import AnswerParser
from runtime.chat.conversation import Conversation, ToolChoice
from runtime.chat.errors import TemplateFailed
from runtime.chat.formats.format import core, first_text
from runtime.chat.messages import Message, ToolCall
from runtime.chat.parsing.parser import FormatParser
from runtime.chat.prompt import PromptBuilder
from runtime.chat.template import ChatTemplate
from runtime.chat.writing import as_openai_has_it

USER, ANSWER = Message("user", "What is the weather <in> Zürich?"), Message("assistant", "Sunny.")
SYSTEM = Message("system", "Be brief.")
TOOLS = (WEATHER, TIME)
CALLED = (ToolCall("a1B2c3D4e", "get_weather", {"city": 'Zürich "x"', "days": 27182}),)
BOTH = (*CALLED, ToolCall("a1B2c3D4f", "get_time", {"zone": "UTC"}))
RESULT = Message("tool", "20 °C", tool_call_id="a1B2c3D4e", name="get_weather")

each_template = pytest.mark.parametrize("name", [*FAMILY, *OTHERS])


@cache
def builder_of(name: str) -> PromptBuilder:
    return PromptBuilder(Characters(chat_template=templates()[name], bos="<s>", eos="</s>"), None)


@cache
def template_of(name: str) -> ChatTemplate:
    return ChatTemplate(templates()[name], "<s>", "</s>")


CONVERSATIONS: dict[str, Conversation] = {
    "one question": Conversation((USER,)),
    "turns": Conversation((SYSTEM, USER, ANSWER, Message("user", "And tomorrow?"))),
    "thinking": Conversation((USER,), thinks=True),
    "not thinking": Conversation((USER, Message("assistant", "Hm.", reasoning="Let me see."), USER), thinks=False),
    "tools": Conversation((SYSTEM, USER), TOOLS),
    "a call and its result": Conversation((USER, Message("assistant", tool_calls=CALLED), RESULT), TOOLS),
    "effort": Conversation((USER,), effort="high"),
    "values": Conversation((USER,), template_values={"enable_thinking": False, "custom": [1]}),
}


def as_openai_sends_it(message: Message) -> dict[str, Any]:
    seen: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        seen["reasoning_content"] = message.reasoning
    if message.tool_calls:
        seen["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        seen |= {"tool_call_id": message.tool_call_id, "name": message.name}
    return seen


@pytest.fixture(scope="module")
def transformers() -> Callable[..., str]:
    """What `transformers` makes of a template and a conversation."""
    utils = pytest.importorskip("transformers.utils.chat_template_utils", reason="transformers needs Python 3.11")

    def render(source: str, conversation: Conversation) -> str:
        values = dict(conversation.template_values)
        if conversation.thinks is not None:
            values |= {"enable_thinking": conversation.thinks, "thinking": conversation.thinks}
        if conversation.effort is not None:
            values["reasoning_effort"] = conversation.effort
        (text,), _ = utils.render_jinja_template(
            [[as_openai_sends_it(message) for message in conversation.messages]],
            tools=[as_openai_has_it(tool) for tool in conversation.tools] or None,
            chat_template=source,
            add_generation_prompt=True,
            bos_token="<s>",
            eos_token="</s>",
            **values,
        )
        assert isinstance(text, str)
        return text

    return render


@each_template
@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_the_sandbox_renders_as_transformers_does(
    name: str, conversation: Conversation, transformers: Callable[..., str]
) -> None:
    """The same dictionaries give the same text; only Kimi's lists that grow are refused there and not here."""
    source = templates()[name]
    try:
        theirs: str | None = transformers(source, conversation)
    except Exception:
        theirs = None
    messages = [as_openai_sends_it(message) for message in conversation.messages]
    for message in messages:
        if "reasoning_content" in message:
            message["thinking"] = message["reasoning_content"]
    values = dict(conversation.template_values)
    if conversation.thinks is not None:
        values |= {"enable_thinking": conversation.thinks, "thinking": conversation.thinks}
    if conversation.effort is not None:
        values["reasoning_effort"] = conversation.effort
    tools = [as_openai_has_it(tool) for tool in conversation.tools] or None
    try:
        ours: str | None = template_of(name).render(messages, tools, values)
    except TemplateFailed:
        ours = None
    if theirs is None and name.startswith("Kimi-K2"):
        assert ours is not None
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_prompts_are_those_of_transformers(
    name: str, conversation: Conversation, transformers: Callable[..., str]
) -> None:
    """Wherever a template takes a conversation as it is, the prompt is what `transformers` gives."""
    builder = builder_of(name)
    try:
        theirs = transformers(templates()[name], conversation)
    except Exception:
        theirs = ""
    shown = all(word in theirs for word in words_of(conversation))
    ours = builder.prepare(conversation).text
    if theirs and shown and not (conversation.thinks is False or conversation.template_values):
        assert ours == theirs
    else:
        assert all(word in ours for word in words_of(conversation) if word != "Let me see.")


def words_of(conversation: Conversation) -> list[str]:
    """What a prompt has to hold of a conversation."""
    last = [message.content for message in conversation.messages[-1:]]
    system = [message.content for message in conversation.messages if message.role == "system"]
    calls = ["27182" for message in conversation.messages if message.tool_calls]
    return [*last, *system, *calls, *(tool.name for tool in conversation.tools)]


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
