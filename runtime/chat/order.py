"""Which turn may stand where: turns that a template does not expect find a place that it takes.

System texts at the front are one where it wants one. What the system says later, and turns of roles that nobody knows,
are the user's, between marks that say whose text it is: so each stays where it was, and a conversation that goes on
begins as it did. Turns of one side are one where sides have to alternate. Knows capabilities; refuses to know formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from runtime.chat.capabilities import Capabilities
from runtime.chat.exchanges import joined
from runtime.chat.messages import Message

SYSTEM_ROLES = ("system", "developer")
"""Who says how the assistant is to be; OpenAI's newer models have the second name."""

_SIDES = ("user", "assistant", "tool")


def opened_by_the_user(turns: Sequence[Message], can: Capabilities) -> list[Message]:
    """The turns without answers of nothing, and with the user first, if only with nothing: where that is needed."""
    if not can.empty_answers:
        turns = [turn for turn in turns if turn.role != "assistant" or turn.content or turn.tool_calls]
    n = _front(turns)
    if (turns[n].role != "user" and not can.answer_first) if n < len(turns) else n == 0:
        return [*turns[:n], Message("user"), *turns[n:]]
    return list(turns)


def in_order(turns: Sequence[Message], can: Capabilities) -> list[Message]:
    """The turns, each where the template takes it."""
    turns = [_known(turn, can) for turn in turns]
    n = _front(turns)
    front, others = turns[:n], turns[n:]
    if not (can.system_later and can.in_a_row):
        others = [_marked(turn) if turn.role in SYSTEM_ROLES else turn for turn in others]
    front, others = _with_front(front, others if can.in_a_row else _alternating(others), can)
    return [*front, *others]


def _front(turns: Sequence[Message]) -> int:
    """How many turns the system speaks first."""
    return next((i for i, turn in enumerate(turns) if turn.role not in SYSTEM_ROLES), len(turns))


def _known(turn: Message, can: Capabilities) -> Message:
    """`turn` in a role that the template knows: developers are the system to it, or something else than OpenAI's."""
    if turn.role == "developer":
        return msgspec.structs.replace(turn, role="system")
    if turn.role in (*_SIDES, "system") or can.any_role or turn.role in can.named:
        return turn
    return _marked(turn)


def _marked(turn: Message) -> Message:
    """What somebody else says, as the user's."""
    return Message("user", f"<{turn.role}>\n{turn.content}\n</{turn.role}>")


def _with_front(front: list[Message], others: list[Message], can: Capabilities) -> tuple[list[Message], list[Message]]:
    """What the system says first, and the turns behind it: one of them says it where there is no place at the front."""
    if not front:
        return [], others
    one = _one(front)
    if not can.system:
        if others and others[0].role == "user":
            return [], [_before(one, others[0]), *others[1:]]
        return [], [_before(one, Message("user")), *others]
    if not others and not can.system_alone:
        return [], [_before(one, Message("user"))]
    asked = [i for i, turn in enumerate(others) if turn.role == "user"]
    if asked and not can.system_stays and others[-1].role != "user":
        return [], [*others[: asked[-1]], _before(one, others[asked[-1]]), *others[asked[-1] + 1 :]]
    return (front if can.several_systems else [one]), others


def _before(system: Message, turn: Message) -> Message:
    return msgspec.structs.replace(turn, content="\n\n".join(filter(None, (system.content, turn.content))))


def _one(turns: Sequence[Message]) -> Message:
    return msgspec.structs.replace(turns[0], content="\n\n".join(turn.content for turn in turns if turn.content))


def _alternating(turns: Iterable[Message]) -> list[Message]:
    """Turns of one side in a row as one turn; what the user says behind a result, in that result."""
    rows: list[list[Message]] = []
    for turn in turns:
        first = rows[-1][0] if rows else None
        if first is None or turn.tool_calls or turn.role == "tool":
            rows.append([turn])
        elif turn.role == first.role and not first.tool_calls:
            rows[-1].append(turn)
        elif turn.role == "user" and first.role == "tool":
            rows[-1].append(_marked(turn))
        else:
            rows.append([turn])
    return [joined(row) for row in rows]
