"""Chat templates: what they see, what they may not do, and what they say when they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.chat.conversation import Conversation
from runtime.chat.errors import TemplateFailed
from runtime.chat.messages import Message
from runtime.chat.named import CHATML
from runtime.chat.prompt import PromptBuilder
from runtime.chat.template import ChatTemplate
from support.characters import Characters

HELLO = [{"role": "user", "content": "Hello <b> ünï 漢 😀"}]


def render(source: str, messages: list[dict[str, Any]] = HELLO, tools: list[dict[str, Any]] | None = None) -> str:
    return ChatTemplate(source, "<s>", "</s>").render(messages, tools)


TABLE = [
    ("ChatML", CHATML, "<|im_start|>user\nHello <b> ünï 漢 😀<|im_end|>\n<|im_start|>assistant\n"),
    ("tokens", "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "<s>Hello <b> ünï 漢 😀</s>"),
    ("attributes work like keys", "{{ messages[0].role }}", "user"),
    ("blocks leave no lines", "{% if true %}\nx\n{% endif %}\n", "x\n"),
    ("tojson escapes no HTML", "{{ '<é>' | tojson }}", '"<é>"'),
    ("tojson takes an indent", "{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
    ("loop controls", "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
    ("absent parts are undefined", "{{ messages[0].tool_calls is defined }}", "False"),
    ("no tools are none", "{{ tools is none }}", "True"),
    ("a year", "{{ strftime_now('%Y') | length }}", "4"),
    (
        "tojson takes separators",
        "{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}",
        '{"a":2,"b":1}',
    ),
    ("generation is only its content", "{% generation %}x{{ 1 }}{% endgeneration %}", "x1"),
    (
        "namespaces",
        "{% set n = namespace(a=1) %}{% for i in range(3) %}{% set n.a = n.a + i %}{% endfor %}{{ n.a }}",
        "4",
    ),
    ("a list of the template's own", "{% set l = [] %}{% set _ = l.append(7) %}{{ l.pop(0) }}{{ l | length }}", "70"),
    ("joined texts", "{{ 'a' ~ 1 ~ none }}", "a1None"),
    ("slices", "{{ 'abcd'[1:-1] }}{{ [1, 2, 3][::-1] }}", "bc[3, 2, 1]"),
    ("comparisons", "{{ 1 < 2 <= 2 and 'a' in 'ab' and 'x' not in ['y'] }}", "True"),
    ("loops with a condition", "{% for i in range(6) if i is odd %}{{ loop.index }}{{ i }}{% endfor %}", "112335"),
    ("methods", "{{ '%s-%d' % ('a', 3) }}{{ '{:>4}'.format('b') }}{{ 'a,b'.split(',') }}", "a-3   b['a', 'b']"),
    ("no documents", "{{ documents is none }}", "True"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_templates_find(source: str, expected: str) -> None:
    assert render(source) == expected


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
    ("names of the interpreter's in namespaces", "{% set n = namespace(__a=1) %}", "cannot have"),
    ("changing a message", "{% set _ = messages[0].update({}) %}", "unsafe"),
    ("loops in loops", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "too long"),
    ("loops that find nothing",
     "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}", "too long"),
    ("a macro that calls itself twice",
     "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(60) }}", "too long"),
    ("loops that recurse",
     "{% for i in [[1]*999]*999 recursive %}{{ loop([[1]*999]*999) if loop.depth < 50 }}"
     "{% endfor %}", "too long"),
    ("a text times", "{{ 'a' * 10**10 }}", "too"),
    ("a list times", "{{ ([0] * 10**10) | length }}", "too"),
    ("a width", "{{ '%1000000000d' % 1 }}", "width"),
    ("a width from elsewhere", "{{ '%*d' % (1000000000, 1) }}", "width"),
    ("a width of format", "{{ '{:1000000000}'.format(1) }}", "width"),
    ("a width within a width", "{{ '{:{}}'.format(1, 1000000000) }}", "width"),
    ("a width of the filter format", "{{ '%1000000000d' | format(1) }}", "width"),
    ("a width in a date", "{{ strftime_now('%999999999Y') }}", "width"),
    ("powers", "{{ 10 ** (10 ** 10) }}", "number"),
    ("products of products",
     "{% set n = namespace(x=3) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}", "number"),
    ("doubled texts",
     "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
     "{% endfor %}", "too"),
    ("joined texts",
     "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
     "{% endfor %}", "too"),
    ("blocks of blocks",
     "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set y %}{{ n.x }}{{ n.x }}"
     "{% endset %}{% set n.x = y %}{% endfor %}", "too"),
    ("doubled lists",
     "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}"
     "{% endfor %}", "too"),
    ("lists of themselves, written",
     "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
     "{% endfor %}{{ n.x }}", "too"),
    ("lists of themselves, as JSON",
     "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
     "{% endfor %}{{ n.x | tojson }}", "too"),
    ("lists of themselves, compared",
     "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
     "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}", "too"),
    ("a list in itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", "too"),
    ("long texts compared",
     "{% set a = 'a' * 9999999 %}{% set b = 'a' * 9999998 ~ 'a' %}{% for i in range(9999) %}"
     "{% if a == b %}{% endif %}{% endfor %}", "too"),
    ("slices kept",
     "{% set n = namespace(l=[]) %}{% set a = 'a' * 9999999 %}{% for i in range(999) %}"
     "{% set n.l = n.l + [a[1:]] %}{% endfor %}", "too"),
    ("the filter center", "{{ 'a' | center(10**10) }}", "too"),
    ("the method ljust", "{{ 'a'.ljust(10**10) }}", "too"),
    ("the filter indent", "{{ ('a\n' * 9999) | indent(50000) }}", "too"),
    ("JSON's indent", "{{ [[1]] | tojson(indent=10**10) }}", "too"),
    ("the filter replace", "{{ ('a' * 999999) | replace('a', 'b' * 999999) }}", "too"),
    ("the method replace", "{{ ('a' * 999999).replace('a', 'b' * 999999) }}", "too"),
    ("the filter join", "{{ (['a'] * 999999) | join('b' * 999999) }}", "too"),
    ("long texts joined", "{{ (['a' * 99999] * 99999) | join }}", "too"),
    ("batches", "{{ [1] | batch(10**10, 0) | list }}", "too"),
    ("sums of lists", "{{ ([[1]] * 99999) | sum(start=[]) | length }}", "too"),
    ("long texts in loops", "{% for i in range(99999) %}" + "x" * 99999 + "{% endfor %}", "too"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "reason"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_what_templates_may_not_do(source: str, reason: str) -> None:
    with pytest.raises(TemplateFailed) as raised:
        render(source)
    assert reason in raised.value.reason


def text_of(builder: PromptBuilder, *messages: Message) -> str:
    tokens = builder.prepare(Conversation(messages)).tokens
    return "".join("<BOS>" if token < 0 else chr(token) for token in tokens)


THINKS = (
    "{% for m in messages %}{{ m.role }}:"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def test_the_model_may_begin_its_turn_by_itself() -> None:
    builder = PromptBuilder(Characters(chat_template=THINKS), None)
    asked = (Message("user", "x"),)
    assert builder.prepare(Conversation(asked)).text == "user:x;assistant:"
    assert builder.prepare(Conversation(asked, opens_answer=False)).text == "user:x;"


CONTINUED = [
    ("what it said", Message("assistant", "ab"), THINKS, "user:x;assistant:ab", False),
    ("what it said after thoughts", Message("assistant", "ab", "t"), THINKS,
     "user:x;assistant:<think>t</think>ab", False),
    ("thoughts", Message("assistant", "", "t"), THINKS, "user:x;assistant:<think>t", True),
    ("thoughts that are not shown", Message("assistant", "", "t"), "{{ messages[-1].content }};", "", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "template", "text", "is_thinking"), [row[1:] for row in CONTINUED], ids=[row[0] for row in CONTINUED]
)
def test_an_answer_is_gone_on_with(last: Message, template: str, text: str, is_thinking: bool) -> None:
    builder = PromptBuilder(Characters(chat_template=template), None)
    prepared = builder.prepare(Conversation((Message("user", "x"), last), continues_last=True))
    assert (prepared.text, prepared.expected.begun) == (text, is_thinking)


def test_there_is_one_bos_whoever_adds_it() -> None:
    model = Characters(chat_template="{{ bos_token }}{{ messages[-1].content }}", adds_bos=True, bos="<s>")
    assert text_of(PromptBuilder(model, None), Message("user", "x")) == "<BOS>x"


def test_the_default_system_prompt_yields_to_the_client_s() -> None:
    model = Characters(chat_template="{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}")
    builder = PromptBuilder(model, "be brief")
    assert text_of(builder, Message("user", "x")) == "system:be brief;user:x;"
    assert text_of(builder, Message("system", "be long"), Message("user", "x")) == "system:be long;user:x;"


@pytest.mark.parametrize(
    ("facts", "said", "before"),
    [
        ({"keeps_state": True}, " y ", "user:x;assistant:ab;user:"),
        ({"window": 16}, "ab", "user:x;assistant:ab;user:"),
        ({"window": 16}, "", None),
        ({}, "y", None),
    ],
    ids=["a state", "a window, and what is said twice", "nothing was said", "a memory that can be cut"],
)
def test_what_comes_before_the_last_turn_is_told(facts: dict[str, bool | int], said: str, before: str | None) -> None:
    template = "{% for m in messages %}{{ m.role }}:{{ m.content.strip() }};{% endfor %}assistant:"
    model = Characters(chat_template=template, adds_bos=True, **facts)
    turns = (Message("user", "x"), Message("assistant", "ab"), Message("user", said))
    prepared = PromptBuilder(model, None).prepare(Conversation(turns))
    assert prepared.turns == (() if before is None else (1 + len(before),))
