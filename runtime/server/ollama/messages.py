"""A conversation as Ollama's chat sends it, as one that every part of ours understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.messages import Message, ToolCall
from runtime.media.given import Gathering, joined
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


def messages(given: Sequence[ChatMessage], media: Gathering) -> tuple[Message, ...]:
    """The turns; `media` is given their pictures. Raises `BadRequest`."""
    now = newest([one.role for one in given])
    return tuple(_message(f"messages[{i}]", one, media, is_now=i == now) for i, one in enumerate(given))


def pictures(field: str, images: Sequence[Any], media: Gathering, *, is_now: bool) -> list[str]:
    """What stands for each of `images`, which is base64. Raises `BadRequest`."""
    marks = []
    for i, image in enumerate(images):
        if not isinstance(image, str):
            raise BadRequest(f"{field}[{i}]: must be base64", f"{field}[{i}]")
        marks.append(media.add(f"{field}[{i}]", image, "image", is_now=is_now))
    return marks


def _message(field: str, given: ChatMessage, media: Gathering, *, is_now: bool) -> Message:
    is_assistant = given.role == "assistant"
    content = text_of(f"{field}.content", given.content, place_of(given.role, is_now=is_now), media)
    shown = [] if is_assistant else pictures(f"{field}.images", given.images or (), media, is_now=is_now)
    calls = [
        ToolCall(call.id or "", call.function.name, call_arguments(call.function.arguments))
        for call in given.tool_calls or ()
        if call.function is not None and call.function.name
    ]
    return Message(
        role=given.role,
        content=joined((*shown, content or None)),
        reasoning=given.thinking or "",
        tool_calls=tuple(calls),
        tool_call_id=given.tool_call_id,
        name=given.tool_name,
    )
