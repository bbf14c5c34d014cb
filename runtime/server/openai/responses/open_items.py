"""Items of a response's output while they come: thoughts, words, and each call of a tool are one.

Knows what an item sends. Refuses to know the events' numbers, and when an item ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from runtime.chat.answer import CallDelta, ContentDelta, Delta
from runtime.server.openai.responses.free_text import FreeText
from runtime.server.openai.responses.output import (
    Status,
    call_item,
    custom_call_item,
    message_item,
    new_id,
    reasoning_item,
    reasoning_part,
    text_part,
)
from runtime.server.openai.responses.tools import Origin, ResponseTools

Event = dict[str, Any]


class OpenItem(Protocol):
    """An item of the output while it comes: what is sent at its beginning, for more of it, and at its end."""

    def takes(self, delta: Delta) -> bool:
        """Whether `delta` belongs to it."""

    def begin(self) -> Iterable[Event]: ...
    def more(self, delta: Delta, logprobs: list[dict[str, Any]]) -> Iterable[Event]: ...
    def end(self, status: Status) -> Iterable[Event]: ...
    def item(self, status: Status) -> dict[str, Any]:
        """The item as far as it came."""


def item_for(delta: Delta, output_index: int, tools: ResponseTools) -> OpenItem:
    """The item that begins with `delta`."""
    if isinstance(delta, CallDelta):
        origin = tools.origin(delta.name)
        return _CustomCall(output_index, delta, origin) if origin.is_custom else _Call(output_index, delta, origin)
    return _Message(output_index) if isinstance(delta, ContentDelta) else _Reasoning(output_index)


class _Message:
    """What is said to the user."""

    def __init__(self, output_index: int) -> None:
        self._id = new_id("msg")
        self._place = {"output_index": output_index}
        self._part = {"item_id": self._id, "output_index": output_index, "content_index": 0}
        self._text: list[str] = []
        self._logprobs: list[dict[str, Any]] = []

    def takes(self, delta: Delta) -> bool:
        return isinstance(delta, ContentDelta)

    def begin(self) -> Iterable[Event]:
        yield {"type": "response.output_item.added", **self._place, "item": message_item(self._id, [], "in_progress")}
        yield {"type": "response.content_part.added", **self._part, "part": text_part("", [])}

    def more(self, delta: Delta, logprobs: list[dict[str, Any]]) -> Iterable[Event]:
        assert isinstance(delta, ContentDelta)
        self._text.append(delta.text)
        self._logprobs += logprobs
        yield {"type": "response.output_text.delta", **self._part, "delta": delta.text, "logprobs": logprobs}

    def end(self, status: Status) -> Iterable[Event]:
        part = text_part("".join(self._text), self._logprobs)
        said = {"text": part["text"], "logprobs": self._logprobs}
        yield {"type": "response.output_text.done", **self._part, **said}
        yield {"type": "response.content_part.done", **self._part, "part": part}
        yield {"type": "response.output_item.done", **self._place, "item": self.item(status)}

    def item(self, status: Status) -> dict[str, Any]:
        return message_item(self._id, [text_part("".join(self._text), self._logprobs)], status)


class _Reasoning:
    """What the model thinks."""

    def __init__(self, output_index: int) -> None:
        self._id = new_id("rs")
        self._place = {"output_index": output_index}
        self._part = {"item_id": self._id, "output_index": output_index, "content_index": 0}
        self._text: list[str] = []

    def takes(self, delta: Delta) -> bool:
        return not isinstance(delta, (CallDelta, ContentDelta))

    def begin(self) -> Iterable[Event]:
        yield {"type": "response.output_item.added", **self._place, "item": reasoning_item(self._id, "", "in_progress")}
        yield {"type": "response.content_part.added", **self._part, "part": reasoning_part("")}

    def more(self, delta: Delta, logprobs: list[dict[str, Any]]) -> Iterable[Event]:  # noqa: ARG002
        assert not isinstance(delta, CallDelta)
        self._text.append(delta.text)
        yield {"type": "response.reasoning_text.delta", **self._part, "delta": delta.text}

    def end(self, status: Status) -> Iterable[Event]:
        text = "".join(self._text)
        yield {"type": "response.reasoning_text.done", **self._part, "text": text}
        yield {"type": "response.content_part.done", **self._part, "part": reasoning_part(text)}
        yield {"type": "response.output_item.done", **self._place, "item": self.item(status)}

    def item(self, status: Status) -> dict[str, Any]:
        return reasoning_item(self._id, "".join(self._text), status)


class _Called:
    """A call of any kind of tool. `prefix` is its id's."""

    prefix: ClassVar[str]

    def __init__(self, output_index: int, first: CallDelta, origin: Origin) -> None:
        self._id = new_id(self.prefix)
        self._place = {"output_index": output_index}
        self._part = {"item_id": self._id, "output_index": output_index}
        self._index = first.index
        self._call_id = first.id
        self._origin = origin

    def takes(self, delta: Delta) -> bool:
        return isinstance(delta, CallDelta) and delta.index == self._index

    def begin(self) -> Iterable[Event]:
        yield {"type": "response.output_item.added", **self._place, "item": self.item("in_progress")}

    def item(self, status: Status) -> dict[str, Any]:
        raise NotImplementedError


class _Call(_Called):
    """A call of a function."""

    prefix = "fc"

    def __init__(self, output_index: int, first: CallDelta, origin: Origin) -> None:
        super().__init__(output_index, first, origin)
        self._arguments: list[str] = []

    def more(self, delta: Delta, logprobs: list[dict[str, Any]]) -> Iterable[Event]:  # noqa: ARG002
        assert isinstance(delta, CallDelta)
        if delta.arguments:
            self._arguments.append(delta.arguments)
            yield {"type": "response.function_call_arguments.delta", **self._part, "delta": delta.arguments}

    def end(self, status: Status) -> Iterable[Event]:
        done = {"name": self._origin.name, "arguments": "".join(self._arguments)}
        yield {"type": "response.function_call_arguments.done", **self._part, **done}
        yield {"type": "response.output_item.done", **self._place, "item": self.item(status)}

    def item(self, status: Status) -> dict[str, Any]:
        return call_item(self._id, self._call_id, self._origin, "".join(self._arguments), status)


class _CustomCall(_Called):
    """A call of a custom tool, whose text comes out of its arguments."""

    prefix = "ctc"

    def __init__(self, output_index: int, first: CallDelta, origin: Origin) -> None:
        super().__init__(output_index, first, origin)
        self._text = FreeText()

    def more(self, delta: Delta, logprobs: list[dict[str, Any]]) -> Iterable[Event]:  # noqa: ARG002
        assert isinstance(delta, CallDelta)
        yield from self._sent(self._text.push(delta.arguments))

    def end(self, status: Status) -> Iterable[Event]:
        yield from self._sent(self._text.finish())
        yield {"type": "response.custom_tool_call_input.done", **self._part, "input": self._text.text}
        yield {"type": "response.output_item.done", **self._place, "item": self.item(status)}

    def item(self, status: Status) -> dict[str, Any]:
        return custom_call_item(self._id, self._call_id, self._origin, self._text.text, status)

    def _sent(self, text: str) -> Iterable[Event]:
        if text:
            yield {"type": "response.custom_tool_call_input.delta", **self._part, "delta": text}
