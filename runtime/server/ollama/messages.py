"""A conversation as Ollama's chat sends it, as one that every part of ours understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.refusals import BadRequest


class CalledFunction(msgspec.Struct):
    """`arguments` is an object, unlike OpenAI's."""

    name: str
    arguments: dict[str, Any] = {}


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far. Most clients drop the `id` that it came with."""

    function: CalledFunction
    id: str | None = None


class ChatMessage(msgspec.Struct):
    """A turn of the conversation. `tool_name` is whose result it is."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class FunctionSchema(msgspec.Struct):
    """What a function is for, and the JSON schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolField(msgspec.Struct):
    """What the model may call; functions are the only kind."""

    function: FunctionSchema
    type: str | None = None


def messages(given: Sequence[ChatMessage], model: str) -> tuple[Message, ...]:
    """The turns. Raises `BadRequest` where there are pictures, which `model` does not see."""
    return tuple(_message(f"messages[{i}]", one, model) for i, one in enumerate(given))


def tools(given: Sequence[ToolField]) -> tuple[Tool, ...]:
    """The tools."""
    functions = [one.function for one in given]
    return tuple(Tool(one.name, one.description or "", one.parameters or {}) for one in functions)


def _message(field: str, given: ChatMessage, model: str) -> Message:
    if given.images:
        raise BadRequest(f'{field}.images: "{model}" does not support images', f"{field}.images")
    calls = [ToolCall(call.id or "", call.function.name, call.function.arguments) for call in given.tool_calls or ()]
    return Message(
        role=given.role,
        content=given.content or "",
        reasoning=given.thinking or "",
        tool_calls=tuple(calls),
        tool_call_id=given.tool_call_id,
        name=given.tool_name,
    )
