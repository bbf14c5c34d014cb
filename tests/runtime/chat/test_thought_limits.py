"""How much may be thought: what a conversation says, what the settings do, and what becomes of it in a request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.chat.conversation import Conversation
from runtime.chat.job import chat_job
from runtime.chat.messages import Message
from runtime.chat.prompt import PromptBuilder
from runtime.engine.types import GenerationRequest
from runtime.server.anthropic.turns import ConversationFields
from runtime.server.anthropic.turns import conversation as of_anthropic
from runtime.server.chat_messages import ChatFields, conversation
from runtime.server.refusals import BadRequest
from support.characters import Characters

TURNS = (Message("user", "x"),)
OPENED = "{{ messages[-1].content }}<think>\n{# <think></think> reasoning_content #}"
CLOSED = "{{ messages[-1].content }}{# <think></think> reasoning_content #}"


@pytest.mark.parametrize(("template", "begun"), [(OPENED, True), (CLOSED, False)])
def test_a_request_knows_how_much_may_be_thought(template: str, begun: bool) -> None:
    model = Characters(chat_template=template)
    asked = Conversation(TURNS, thought_tokens=7, thought_message="enough")
    limit = chat_job(PromptBuilder(model, None), asked, GenerationRequest(())).request.sampling.thoughts
    assert limit is not None
    assert (limit.tokens, limit.begin, limit.end, limit.begun) == (7, "<think>", "</think>", begun)
    assert limit.closing == model.tokenize(f"enough{span_end(template)}", add_special=False, parse_special=True)


def span_end(template: str) -> str:
    reasoning = PromptBuilder(Characters(chat_template=template), None).prepare(Conversation(TURNS)).expected.reasoning
    assert reasoning is not None
    return reasoning.end


def test_nothing_is_counted_where_nothing_is_thought() -> None:
    without = PromptBuilder(Characters(chat_template="{{ messages[-1].content }}"), None)
    assert without.prepare(Conversation(TURNS, thought_tokens=7)).thoughts is None
    assert PromptBuilder(Characters(chat_template=OPENED), None).prepare(Conversation(TURNS)).thoughts is None


def body(**fields: Any) -> Conversation:
    return conversation(msgspec.convert({"messages": [{"role": "user", "content": "x"}], **fields}, ChatFields))


@pytest.mark.parametrize(
    ("fields", "tokens", "thinks"),
    [
        ({}, None, None),
        ({"reasoning_budget_tokens": 5}, 5, None),
        ({"thinking_budget_tokens": 5}, 5, None),
        ({"reasoning_budget_tokens": -1, "thinking_budget_tokens": 4}, 4, None),
        ({"reasoning_budget_tokens": 3, "thinking_budget_tokens": 4}, 3, None),
        ({"reasoning_budget_tokens": 0}, 0, False),
        ({"reasoning_budget_tokens": -1}, None, None),
    ],
)
def test_fields_of_llama_server(fields: dict[str, int], tokens: int | None, thinks: bool | None) -> None:
    asked = body(**fields)
    assert (asked.thought_tokens, asked.thinks) == (tokens, thinks)
    assert body(reasoning_budget_message="so").thought_message == "so"


@pytest.mark.parametrize("field", ["reasoning_budget_tokens", "thinking_budget_tokens"])
def test_less_than_none_is_refused(field: str) -> None:
    with pytest.raises(BadRequest, match=f"{field}: must be -1"):
        body(**{field: -2})


def anthropic(**thinking: Any) -> Conversation:
    given = {"messages": [{"role": "user", "content": "x"}], "thinking": thinking}
    return of_anthropic(msgspec.convert(given, ConversationFields))


def test_anthropic_s_budget() -> None:
    assert anthropic(type="enabled", budget_tokens=2048).thought_tokens == 2048
    assert anthropic(type="adaptive").thought_tokens is None
    with pytest.raises(BadRequest, match="budget_tokens: must be 1 or more"):
        anthropic(type="enabled", budget_tokens=0)
