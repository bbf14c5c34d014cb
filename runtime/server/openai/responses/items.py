"""The input of `/v1/responses`: a text, or items, of which several may make up one turn of the conversation.

Thoughts, words and calls that follow one another are one turn of the assistant's, as templates have it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.messages import Message, ToolCall
from runtime.server.chat_messages import call_arguments
from runtime.server.refusals import BadRequest

_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")


class InputPart(msgspec.Struct):
    """A piece of an item; only text is understood, and what an assistant said when it refused."""

    type: str
    text: str | None = None
    refusal: str | None = None


class InputItem(msgspec.Struct):
    """A message, a call, what came of a call, or thoughts, by `type`; each has some of the fields."""

    type: str = "message"
    role: str | None = None
    content: str | list[InputPart] | None = None
    summary: list[InputPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] = ""
    output: str | list[InputPart] | None = None


def messages_of(given: str | list[InputItem]) -> tuple[Message, ...]:
    """The turns of the conversation. Raises `BadRequest`."""
    if isinstance(given, str):
        return (Message("user", given),) if given else ()
    turns: list[Message] = []
    called: dict[str, str] = {}
    for i, item in enumerate(given):
        message = _message(f"input[{i}]", item, called)
        if item.type == "reasoning" and not message.reasoning:  # thoughts that only their author can read
            continue
        called.update((call.id, call.name) for call in message.tool_calls)
        if turns and _goes_on(turns[-1], message):
            turns[-1] = _joined(turns[-1], message)
        else:
            turns.append(message)
    return tuple(turns)


def _message(field: str, item: InputItem, called: dict[str, str]) -> Message:
    """An item as a turn of its own; `called` are the names of earlier calls. Raises `BadRequest`."""
    if item.type == "message":
        if not item.role:
            raise BadRequest(f"{field}.role: is missing", f"{field}.role")
        return Message(item.role, _text(f"{field}.content", item.content))
    if item.type == "reasoning":
        thoughts = item.content if item.content is not None else item.summary
        return Message("assistant", reasoning=_text(f"{field}.content", thoughts))
    if item.type == "function_call":
        if not item.name:
            raise BadRequest(f"{field}.name: is missing", f"{field}.name")
        arguments = call_arguments(item.arguments, f"{field}.arguments")
        return Message("assistant", tool_calls=(ToolCall(item.call_id or "", item.name, arguments),))
    if item.type == "function_call_output":
        output = _text(f"{field}.output", item.output)
        return Message("tool", output, tool_call_id=item.call_id, name=called.get(item.call_id or ""))
    raise BadRequest(f"{field}.type: items of type {item.type!r} mean nothing here", f"{field}.type")


def _goes_on(turn: Message, message: Message) -> bool:
    """Whether `message` belongs to the assistant's `turn`: thoughts begin one, words come before calls."""
    if turn.role != "assistant" or message.role != "assistant" or message.reasoning:
        return False
    return bool(message.tool_calls) or not (turn.content or turn.tool_calls)


def _joined(turn: Message, message: Message) -> Message:
    calls = (*turn.tool_calls, *message.tool_calls)
    return msgspec.structs.replace(turn, content=turn.content or message.content, tool_calls=calls)


def _text(field: str, content: str | list[InputPart] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in (*_TEXTS, "refusal"):
            raise BadRequest(f"{field}: this model takes text only, not {part.type!r}", field)
    return "\n".join(part.text or part.refusal or "" for part in content)
