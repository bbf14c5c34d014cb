"""Calls of tools in earlier turns and what they gave, in the form that a template shows.

As calls and results where it takes them like that, as text in turns of the two sides where it does not: calls in their
family's own words, results between marks. Knows capabilities and formats; refuses to know which turn may stand where.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.chat.capabilities import Capabilities
from runtime.chat.formats.format import Format
from runtime.chat.messages import Message
from runtime.chat.writing import written_calls


def with_calls_shown(turns: Sequence[Message], can: Capabilities, format: Format) -> list[Message]:
    """All turns; each result is behind its call. Every call and every result has an id."""
    shown: list[Message] = []
    i = 0
    while i < len(turns):
        turn, i = turns[i], i + 1
        if turn.role == "tool":
            shown.append(_lone_result(turn, can))
            continue
        if not turn.tool_calls:
            shown.append(turn)
            continue
        if not can.in_a_row:
            turn = _with_what_was_said(shown, turn)
        results = []
        while i < len(turns) and turns[i].role == "tool":
            results.append(turns[i])
            i += 1
        answers, others = _sorted(turn, results)
        if can.several_calls:
            shown += _exchange(turn, [result for one in answers for result in one], can, format)
        else:
            for call, one in zip(turn.tool_calls, answers, strict=True):
                shown += _exchange(msgspec.structs.replace(turn, tool_calls=(call,)), one, can, format)
                turn = msgspec.structs.replace(turn, content="", reasoning="")
        shown += [_lone_result(result, can) for result in others]
    return shown


def joined(turns: Sequence[Message]) -> Message:
    """Turns of one side as one, with the calls of the last."""
    if len(turns) == 1:
        return turns[0]
    return msgspec.structs.replace(
        turns[0],
        content="\n\n".join(turn.content for turn in turns if turn.content),
        reasoning="\n\n".join(turn.reasoning for turn in turns if turn.reasoning),
        tool_calls=turns[-1].tool_calls,
    )


def _exchange(turn: Message, results: Sequence[Message], can: Capabilities, format: Format) -> list[Message]:
    """A turn with calls that a template takes together, and their results."""
    is_beside = can.content_beside_both if turn.reasoning else can.content_beside_calls
    fits_beside = is_beside or not turn.content
    is_answered = bool(results) and can.results
    if not can.calls or not (fits_beside or can.in_a_row) or not (is_answered or can.unanswered_calls):
        return [_calls_as_text(turn, format), *(_lone_result(result, can) for result in results)]
    if not can.results:
        results = [_result_as_text(result) for result in results]
    if fits_beside:
        return [turn, *results]
    said = msgspec.structs.replace(turn, tool_calls=())
    return [said, msgspec.structs.replace(turn, content="", reasoning=""), *results]


def _sorted(turn: Message, results: Sequence[Message]) -> tuple[list[list[Message]], list[Message]]:
    """The results of each call, and those of none of them."""
    answers: list[list[Message]] = [[] for _ in turn.tool_calls]
    others = []
    places: dict[str, list[int]] = {}
    for i, call in reversed(list(enumerate(turn.tool_calls))):
        places.setdefault(call.id, []).append(i)
    for result in results:
        its = places.get(result.tool_call_id or "")
        if its:  # where a client uses an id twice, one after the other
            answers[its.pop() if len(its) > 1 else its[0]].append(result)
        else:
            others.append(result)
    return answers, others


def _with_what_was_said(shown: list[Message], turn: Message) -> Message:
    """A turn with calls, and with what the assistant said in turns right before it, which `shown` loses."""
    n = len(shown)
    while n and shown[n - 1].role == "assistant" and not shown[n - 1].tool_calls:
        n -= 1
    said = shown[n:]
    del shown[n:]
    return joined([*said, turn])


def _calls_as_text(turn: Message, format: Format) -> Message:
    written = written_calls(turn.tool_calls, format.calls)
    return msgspec.structs.replace(turn, content=f"{turn.content}\n{written}".lstrip("\n"), tool_calls=())


def _lone_result(turn: Message, can: Capabilities) -> Message:
    """A result without its call."""
    return turn if can.results and can.results_alone else _result_as_text(turn)


def _result_as_text(turn: Message) -> Message:
    return Message("user", f"<tool_response>\n{turn.content}\n</tool_response>")
