"""Messages and tools, as every dialect hands them on."""

from __future__ import annotations

from typing import Any

import msgspec


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model made earlier. `arguments` is the JSON object it gave, parsed."""

    id: str
    name: str
    arguments: dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One turn. `role` is as the client sent it: templates decide which ones they know.

    `reasoning` is what an assistant thought before it said `content`. `tool_call_id` and `name` say, in a turn of the
    role "tool", which call and which tool it answers.
    """

    role: str
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """What the model may call. `parameters` is the JSON schema of the arguments; {} leaves them open."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
