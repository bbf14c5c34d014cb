"""A conversation as OpenAI's chat sends it, as one that every part of ours understands.

Knows the forms of messages, tools and formats. Refuses to know how an answer is generated and written.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.conversation import ToolChoice
from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.errors import BadRequest


class ContentPart(msgspec.Struct):
    """A piece of a message; only text is understood."""

    type: str
    text: str | None = None


class CalledFunction(msgspec.Struct):
    """`arguments` is JSON in a string, as OpenAI sends it."""

    name: str
    arguments: str = "{}"


class CalledTool(msgspec.Struct):
    """A tool call in the conversation so far."""

    function: CalledFunction
    id: str = ""


class ChatMessage(msgspec.Struct):
    """A turn of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class FunctionSchema(msgspec.Struct):
    """What a function is for, and the JSON schema of its arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolField(msgspec.Struct):
    """What the model may call; functions are the only kind."""

    function: FunctionSchema | None = None
    type: str = "function"


class FunctionName(msgspec.Struct):
    """A function, by its name."""

    name: str


class NamedTool(msgspec.Struct):
    """The one tool that must be called."""

    function: FunctionName
    type: str = "function"


def message(index: int, given: ChatMessage) -> Message:
    """Message number `index`. Raises `BadRequest`."""
    field = f"messages[{index}]"
    return Message(
        role=given.role,
        content=_text(f"{field}.content", given.content),
        reasoning=given.reasoning_content or "",
        tool_calls=tuple(_tool_call(field, call) for call in given.tool_calls or ()),
        tool_call_id=given.tool_call_id,
        name=given.name,
    )


def tool(index: int, given: ToolField) -> Tool:
    """Tool number `index`. Raises `BadRequest`."""
    if given.type != "function" or given.function is None:
        raise BadRequest(f"tools[{index}]: only functions can be called here, not {given.type!r}", f"tools[{index}]")
    function = given.function
    return Tool(function.name, function.description or "", function.parameters or {})


def tool_choice(given: str | NamedTool | None) -> ToolChoice:
    """Raises `BadRequest`."""
    if isinstance(given, NamedTool):
        return ToolChoice(name=given.function.name)
    if given is None or given == "auto":
        return ToolChoice()
    if given == "none":
        return ToolChoice("none")
    if given == "required":
        return ToolChoice("required")
    raise BadRequest(f"tool_choice: must be auto, none, required or a named tool, not {given!r}", "tool_choice")


def _text(field: str, content: str | list[ContentPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type != "text":
            raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field)
    return "\n".join(part.text or "" for part in content)


def _tool_call(field: str, call: CalledTool) -> ToolCall:
    try:
        arguments = msgspec.json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        field = f"{field}.tool_calls.function.arguments"
        raise BadRequest(f"{field}: must be a JSON object in a string: {error}", field) from error
    return ToolCall(call.id, call.function.name, arguments)
