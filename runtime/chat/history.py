"""The turns of a conversation, as a template can take them.

Whatever a template has no place for finds another: tool calls and results in the text, the system prompt in the first
turn, several calls in one turn in several. Knows capabilities and formats; refuses to render.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime.chat.capabilities import Capabilities
from runtime.chat.formats.format import Format
from runtime.chat.messages import Message, ToolCall
from runtime.chat.template import Rendered
from runtime.chat.writing import written_calls

_SHORT = 9
"""Letters and digits of an id that Mistral's templates take."""


def as_template_takes_it(
    messages: Sequence[Message], can: Capabilities, format: Format, *, knows_developer: bool
) -> list[Rendered]:
    """The dictionaries that a template is given."""
    turns = _with_ids(messages, short=format.calls.ids == "short")
    if not knows_developer:
        turns = [msgspec.structs.replace(turn, role="system") if turn.role == "developer" else turn for turn in turns]
    if not can.calls:
        turns = [_calls_as_text(turn, format) for turn in turns]
    elif not can.several_calls:
        turns = _one_call_each(turns)
    if not can.results:
        turns = [_result_as_text(turn) for turn in turns]
    if not can.system:
        turns = _system_first(turns)
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


def _calls_as_text(turn: Message, format: Format) -> Message:
    if not turn.tool_calls:
        return turn
    written = written_calls(turn.tool_calls, format.calls)
    return msgspec.structs.replace(turn, content=f"{turn.content}\n{written}".lstrip("\n"), tool_calls=())


def _result_as_text(turn: Message) -> Message:
    if turn.role != "tool":
        return turn
    return Message("user", f"<tool_response>\n{turn.content}\n</tool_response>")


def _one_call_each(turns: list[Message]) -> list[Message]:
    """Turns of several calls as several turns, each with the results of its call behind it."""
    separate: list[Message] = []
    i = 0
    while i < len(turns):
        turn = turns[i]
        i += 1
        if len(turn.tool_calls) < 2:
            separate.append(turn)
            continue
        results = []
        while i < len(turns) and turns[i].role == "tool":
            results.append(turns[i])
            i += 1
        for number, call in enumerate(turn.tool_calls):
            first = {} if number == 0 else {"content": "", "reasoning": ""}
            separate.append(msgspec.structs.replace(turn, tool_calls=(call,), **first))
            separate += [result for result in results if result.tool_call_id == call.id]
        known = {call.id for call in turn.tool_calls}
        separate += [result for result in results if result.tool_call_id not in known]
    return separate


def _system_first(turns: list[Message]) -> list[Message]:
    """What the system says before what the user says first."""
    system = [turn.content for turn in turns if turn.role == "system"]
    others = [turn for turn in turns if turn.role != "system"]
    if not system:
        return turns
    if not others or others[0].role != "user":
        return [Message("user", "\n\n".join(system)), *others]
    first = msgspec.structs.replace(others[0], content="\n\n".join((*system, others[0].content)))
    return [first, *others[1:]]


def _as_dictionary(turn: Message, can: Capabilities) -> Rendered:
    """Absent parts are left out, so that `is defined` works."""
    content: Any = turn.content
    if turn.tool_calls and not (can.content_beside_both if turn.reasoning else can.content_beside_calls):
        content = ""
    if can.parts:
        content = [{"type": "text", "text": content}]
    elif turn.tool_calls and not content and can.null_content:
        content = None
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
