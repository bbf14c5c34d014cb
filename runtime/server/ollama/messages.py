"""A conversation as Ollama's chat sends it, as one that every part of ours understands."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.messages import Message, Tool, ToolCall
from runtime.server.errors import BadRequest


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
    ids = _CallIds()
    turns = []
    for i, one in enumerate(given):
        if one.images:
            raise BadRequest(f'messages[{i}].images: "{model}" does not support images', f"messages[{i}].images")
        calls = tuple(
            ToolCall(ids.of_call(call), call.function.name, call.function.arguments) for call in one.tool_calls or ()
        )
        answers = ids.of_answer(one) if one.role == "tool" else None
        turns.append(Message(one.role, one.content or "", one.thinking or "", calls, answers, one.tool_name))
    return tuple(turns)


def tools(given: Sequence[ToolField]) -> tuple[Tool, ...]:
    """The tools."""
    functions = [one.function for one in given]
    return tuple(Tool(one.name, one.description or "", one.parameters or {}) for one in functions)


class _CallIds:
    """Names for calls that came without, since some templates want them: results are for the calls in their order."""

    def __init__(self) -> None:
        self._count = 0
        self._open: deque[tuple[str, str]] = deque()

    def of_call(self, call: CalledTool) -> str:
        self._count += 1
        name = call.id or f"call{self._count:05}"  # Mistral's templates want nine letters and digits
        self._open.append((name, call.function.name))
        return name

    def of_answer(self, message: ChatMessage) -> str | None:
        """The first call that waits for a result, of this tool if the message says which."""
        if message.tool_call_id:
            return message.tool_call_id
        for one in self._open:
            if message.tool_name in (None, one[1]):
                self._open.remove(one)
                return one[0]
        return None
