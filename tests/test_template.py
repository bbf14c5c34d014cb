"""Chat templates: what they see, what they may not do, and what they say when they refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakes import FACTS

from runtime.chat.errors import TemplateFailed
from runtime.chat.messages import Message, ToolCall
from runtime.chat.prompt import PromptBuilder
from runtime.chat.template import CHATML, ChatTemplate

HELLO = [Message("user", "Hello <b> ünï 漢 😀")]


def render(source: str, messages: list[Message] = HELLO, tools: list[dict[str, Any]] | None = None) -> str:
    return ChatTemplate(source, "<s>", "</s>").render(messages, tools or ())


TABLE = [
    ("ChatML", CHATML, "<|im_start|>user\nHello <b> ünï 漢 😀<|im_end|>\n<|im_start|>assistant\n"),
    ("tokens", "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", f"<s>{HELLO[0].content}</s>"),
    ("attributes work like keys", "{{ messages[0].role }}", "user"),
    ("blocks leave no lines", "{% if true %}\nx\n{% endif %}\n", "x\n"),
    ("tojson escapes no HTML", "{{ '<é>' | tojson }}", '"<é>"'),
    ("tojson takes an indent", "{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
    ("loop controls", "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
    ("absent parts are undefined", "{{ messages[0].tool_calls is defined }}", "False"),
    ("no tools are none", "{{ tools is none }}", "True"),
    ("a year", "{{ strftime_now('%Y') | length }}", "4"),
]


@pytest.mark.parametrize(("source", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_templates_find(source: str, expected: str) -> None:
    assert render(source) == expected


def test_tools_and_calls_are_seen_in_openai_s_form() -> None:
    tool = {"type": "function", "function": {"name": "get_weather"}}
    call = Message("assistant", tool_calls=(ToolCall("c1", "get_weather", {"city": "Paris"}),))
    source = (
        "{{ tools[0].function.name }} {{ messages[0].tool_calls[0].function.arguments | tojson }} "
        "{{ messages[1].tool_call_id }}"
    )
    answer = Message("tool", "21", tool_call_id="c1")
    assert render(source, [call, answer], [tool]) == 'get_weather {"city": "Paris"} c1'


REFUSALS = [
    ("it says so", "{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    ("its syntax", "{% if %}", "Expected an expression"),
    ("a missing name", "{{ nothing.at.all }}", "nothing"),
    ("division", "{{ 1 / 0 }}", "zero"),
    ("wrong types", "{{ 1 + 'x' }}", "unsupported operand"),
    ("a huge range", "{% for i in range(10**9) %}{% endfor %}", "Range"),
    ("the interpreter's insides", "{{ ''.__class__.__mro__ }}", "unsafe"),
    ("a function's globals", "{{ raise_exception.__globals__['os'] }}", "unsafe"),
    ("changing the conversation", "{{ messages.append(1) }}", "unsafe"),
    ("a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion"),
    ("parentheses without end", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", ""),
    ("files", "{% include '/etc/passwd' %}", "no loader"),
]


@pytest.mark.parametrize(("source", "reason"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_what_templates_may_not_do(source: str, reason: str) -> None:
    with pytest.raises(TemplateFailed) as raised:
        render(source)
    assert reason in raised.value.reason


class Characters:
    """A tokenizer whose tokens are characters; the BOS it adds is token -1."""

    def __init__(self, **facts: Any) -> None:
        self.facts = msgspec.structs.replace(FACTS, **facts)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:
        assert parse_special, "a template's control tokens are tokens"
        bos = (-1,) if add_special and self.facts.adds_bos else ()
        return bos + tuple(map(ord, text))


def text_of(tokens: tuple[int, ...]) -> str:
    return "".join("<BOS>" if token < 0 else chr(token) for token in tokens)


def test_a_model_without_a_template_gets_chatml() -> None:
    tokens = PromptBuilder(Characters(chat_template=None), None).tokens([Message("user", "x")])
    assert text_of(tokens) == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


def test_there_is_one_bos_whoever_adds_it() -> None:
    model = Characters(chat_template="{{ bos_token }}{{ messages[-1].content }}", adds_bos=True, bos="<s>")
    assert text_of(PromptBuilder(model, None).tokens([Message("user", "x")])) == "<BOS>x"


def test_the_default_system_prompt_yields_to_the_client_s() -> None:
    model = Characters(chat_template="{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}")
    builder = PromptBuilder(model, "be brief")
    assert text_of(builder.tokens([Message("user", "x")])) == "system:be brief;user:x;"
    own = [Message("system", "be long"), Message("user", "x")]
    assert text_of(builder.tokens(own)) == "system:be long;user:x;"
