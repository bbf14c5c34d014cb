"""Templates of real models: rendered as `transformers` renders them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from runtime.chat.conversation import Conversation
from runtime.chat.errors import TemplateFailed
from runtime.chat.messages import Message
from runtime.chat.template import ChatTemplate
from runtime.chat.writing import as_openai_has_it
from support.families import ANSWER, CALLED, FAMILY, OTHERS, RESULT, SYSTEM, TOOLS, USER, builder_of
from support.templates import templates

each_template = pytest.mark.parametrize("name", [*FAMILY, *OTHERS])


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
    """The same dictionaries give the same text; only Kimi's lists that grow are refused there and not here.

    And firefunction's template asks for what llama.cpp gives it, and we do.
    """
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
    if theirs is None and name.startswith(("Kimi-K2", "fireworks")):
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
