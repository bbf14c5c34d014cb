"""A conversation as Ollama's chat sends it, as one that every part of ours understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.messages import Message, ToolCall
from runtime.server.arguments import call_arguments
from runtime.server.parts import Content, newest, place_of, text_of
from runtime.server.refusals import BadRequest


class CalledFunction(msgspec.Struct):
    """`arguments` is an object, unlike OpenAI's."""

    name: str | None = None
    arguments: Any = None


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far. Most clients drop the `id` that it came with."""

    function: CalledFunction | None = None
    id: str | None = None


class ChatMessage(msgspec.Struct):
    """A turn of the conversation. `tool_name` is whose result it is."""

    role: str
    content: Content = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


def messages(given: Sequence[ChatMessage], model: str) -> tuple[Message, ...]:
    """The turns. Raises `BadRequest` where the user shows a picture just now, which `model` does not see."""
    now = newest([one.role for one in given])
    return tuple(_message(f"messages[{i}]", one, model, is_now=i == now) for i, one in enumerate(given))


def _message(field: str, given: ChatMessage, model: str, *, is_now: bool) -> Message:
    if given.images and is_now:
        raise BadRequest(f'{field}.images: "{model}" does not support images', f"{field}.images")
    is_assistant = given.role == "assistant"
    content = text_of(f"{field}.content", given.content, place_of(given.role, is_now=is_now))
    pictures = [] if is_assistant else ["[image]"] * len(given.images or ())
    calls = [
        ToolCall(call.id or "", call.function.name, call_arguments(call.function.arguments))
        for call in given.tool_calls or ()
        if call.function is not None and call.function.name
    ]
    return Message(
        role=given.role,
        content="\n".join(filter(None, (content, *pictures))),
        reasoning=given.thinking or "",
        tool_calls=tuple(calls),
        tool_call_id=given.tool_call_id,
        name=given.tool_name,
    )
