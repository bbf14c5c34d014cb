"""The turns of a conversation, as a template can take them.

Clients send back all that was said, whatever model it was said to. What a template has no place for finds another:
calls and results in the text (`exchanges.py`), system prompts and turns that it does not expect in their neighbours
(`order.py`). Every text stays, and stays in its place. Knows capabilities and formats; refuses to render.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime.chat.capabilities import Capabilities
from runtime.chat.exchanges import with_calls_shown
from runtime.chat.formats.format import Format
from runtime.chat.messages import Message, ToolCall
from runtime.chat.order import in_order, opened_by_the_user
from runtime.chat.template import Rendered

_SHORT = 9
"""Letters and digits of an id that Mistral's templates take."""


def as_template_takes_it(messages: Sequence[Message], can: Capabilities, format: Format) -> list[Rendered]:
    """The dictionaries that a template is given."""
    turns = _with_ids(messages, short=format.calls.ids == "short")
    turns = with_calls_shown(opened_by_the_user(turns, can), can, format)
    turns = in_order(turns, can)
    return [_as_dictionary(turn, can) for turn in turns]


def _with_ids(messages: Iterable[Message], *, short: bool) -> list[Message]:
    """Every call and every result with an id: clients of Ollama's API send none."""
    turns: list[Message] = []
    waiting: list[ToolCall] = []
    count = 0
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                calls.append(ToolCall(_id(call.id or f"call_{count}", short=short), call.name, call.arguments))
                count += 1
            waiting = list(calls)
            turns.append(msgspec.structs.replace(message, tool_calls=tuple(calls)))
        elif message.role == "tool":
            given = _id(message.tool_call_id, short=short) if message.tool_call_id else None
            answered = next((call for call in waiting if _answers(message, given, call)), None)
            if answered is not None:
                waiting.remove(answered)
            call_id = given or (answered.id if answered else _id("call", short=short))
            name = message.name or (answered.name if answered else None)
            turns.append(msgspec.structs.replace(message, tool_call_id=call_id, name=name))
        else:
            turns.append(message)
    return turns


def _answers(result: Message, call_id: str | None, call: ToolCall) -> bool:
    return call.id == call_id if call_id else result.name in (None, call.name)


def _id(given: str, *, short: bool) -> str:
    if not short or (len(given) == _SHORT and given.isalnum()):
        return given
    return hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[:_SHORT]


def _as_dictionary(turn: Message, can: Capabilities) -> Rendered:
    """Absent parts are left out, so that `is defined` works."""
    content: Any = turn.content
    if turn.tool_calls and not content and can.null_content:
        content = None
    elif can.parts:
        content = [{"type": "text", "text": content}]
    seen: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.reasoning:
        seen |= {"reasoning_content": turn.reasoning, "thinking": turn.reasoning}
    if turn.tool_calls:
        seen["tool_calls"] = [_call(call, can) for call in turn.tool_calls]
    if turn.tool_call_id is not None:
        seen["tool_call_id"] = turn.tool_call_id
    if turn.name is not None:
        seen["name"] = turn.name
    return seen


def _call(call: ToolCall, can: Capabilities) -> dict[str, Any]:
    arguments: Any = msgspec.json.encode(call.arguments).decode() if can.text_arguments else call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
