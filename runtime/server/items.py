"""A conversation as OpenAI's Responses have it: items, of which several may make up one turn.

Thoughts, words and calls that follow one another are one turn of the assistant's, as templates have it. Calls of tools
of all kinds are understood where what they gave is beside them; what has no text that can be read is left out, since it
is part of what was. Shared because some clients send items as a chat.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from runtime.chat.messages import Message, ToolCall
from runtime.media.given import Gathering
from runtime.server.arguments import call_arguments
from runtime.server.parts import Content, is_empty, newest, output_text, parts_of, text_of, thoughts_in, thoughts_of
from runtime.server.refusals import BadRequest
from runtime.server.tools import in_namespace


class InputItem(msgspec.Struct):
    """A message, a call, what came of a call, or thoughts, by `type`; each has some of the fields.

    `input` is a custom tool's, `action` that of a tool of OpenAI's own, `namespace` where a function is from.
    """

    type: str | None = None
    role: str | None = None
    content: Content = None
    summary: Content = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: Any = None
    action: Any = None
    output: Any = None


def messages_of(given: str | list[InputItem], media: Gathering) -> tuple[Message, ...]:
    """The turns of the conversation; `media` is given their pictures. Raises `BadRequest`."""
    if isinstance(given, str):
        return (Message("user", given),) if given else ()
    turns: list[Message] = []
    called: dict[str, str] = {}
    now = newest([_role(item) for item in given])
    for i, item in enumerate(given):
        for message in _messages(f"input[{i}]", item, called, media, is_now=i == now):
            called.update((call.id, call.name) for call in message.tool_calls)
            if turns and _goes_on(turns[-1], message):
                turns[-1] = _joined(turns[-1], message)
            else:
                turns.append(message)
    return tuple(turns)


def _messages(
    field: str, item: InputItem, called: dict[str, str], media: Gathering, *, is_now: bool
) -> Iterable[Message]:
    """An item as turns of its own; `called` are the names of earlier calls. Raises `BadRequest`."""
    kind = item.type or "message"
    if kind == "message":
        yield _said(field, item, media, is_now=is_now)
    elif kind == "reasoning":
        thoughts = _thoughts(item.content) or _thoughts(item.summary)
        if thoughts:  # else only their author can read them
            yield Message("assistant", reasoning=thoughts)
    elif kind.endswith("_call"):
        yield from _call(field, kind.removesuffix("_call"), item)
    elif kind.endswith("_output"):
        call_id = item.call_id or item.id
        text = output_text(item.output, media, f"{field}.output")
        yield Message("tool", text, tool_call_id=call_id, name=called.get(call_id or ""))


def _role(item: InputItem) -> str | None:
    """Whose an item is."""
    kind = item.type or ""
    return "assistant" if kind == "reasoning" or kind.endswith("_call") else item.role


def _said(field: str, item: InputItem, media: Gathering, *, is_now: bool) -> Message:
    if not item.role:
        raise BadRequest(f"{field}.role: is missing", f"{field}.role")
    if item.role != "assistant":
        return Message(item.role, text_of(f"{field}.content", item.content, "now" if is_now else "earlier", media))
    content = text_of(f"{field}.content", item.content, "assistant")
    return Message("assistant", content, thoughts_of(item.content))


def _call(field: str, kind: str, item: InputItem) -> Iterable[Message]:
    """A call, and what came of it where the same item says it. Raises `BadRequest` for a function without a name."""
    if kind == "function" and not item.name:
        raise BadRequest(f"{field}.name: is missing", f"{field}.name")
    if item.call_id is None and item.output is None and kind != "function":  # somebody else's server did it
        return
    given = next((one for one in (item.arguments, item.input, item.action) if one is not None), None)
    call_id = item.call_id or item.id or ""
    name = in_namespace(item.namespace, item.name or kind)
    arguments = {"input": given or ""} if kind == "custom_tool" else call_arguments(given)
    yield Message("assistant", tool_calls=(ToolCall(call_id, name, arguments),))
    if item.output is not None:
        yield Message("tool", output_text(item.output), tool_call_id=call_id, name=name)


def _thoughts(content: Content) -> str:
    return "\n".join(filter(None, map(thoughts_in, parts_of(content))))


def _goes_on(turn: Message, message: Message) -> bool:
    """Whether `message` belongs to the assistant's `turn`: thoughts begin one, words come before calls."""
    if turn.role != "assistant" or message.role != "assistant" or message.reasoning:
        return False
    return is_empty(message) or bool(message.tool_calls) or not (turn.content or turn.tool_calls)


def _joined(turn: Message, message: Message) -> Message:
    calls = (*turn.tool_calls, *message.tool_calls)
    return msgspec.structs.replace(turn, content=turn.content or message.content, tool_calls=calls)
