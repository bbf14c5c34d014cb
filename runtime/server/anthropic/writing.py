"""How `/v1/messages` answers: a message of blocks, whole or as events that open, fill and close one after the other."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from runtime.chat.answer import CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.chat.job import ChatFinished
from runtime.engine.types import FinishReason, Probabilities
from runtime.server.anthropic.errors import error_object
from runtime.server.chatting import Call, ChatAnswer
from runtime.server.dialect import Failure
from runtime.server.stream import PINGED_EVENTS

_STOP_REASONS = {
    FinishReason.END_OF_TEXT: "end_turn",
    FinishReason.STOP_STRING: "end_turn",
    FinishReason.MAX_TOKENS: "max_tokens",
    FinishReason.CONTEXT_FULL: "model_context_window_exceeded",
    FinishReason.TIME_LIMIT: "max_tokens",
    FinishReason.ABORTED: "end_turn",
}


class MessageWriter:
    """One message. `stop_sequences` are the client's: what else ends an answer is not told of.

    `marks_cache`: the client wants what it sent to be kept, and to be told how much of it was new.
    """

    framing = PINGED_EVENTS

    def __init__(
        self, model: str, prompt_tokens: int, stop_sequences: tuple[str, ...], marks_cache: bool = False
    ) -> None:
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._stop_sequences = stop_sequences
        self._marks_cache = marks_cache
        self._id = f"msg_{secrets.token_hex(12)}"
        self._blocks = _Blocks()

    def opening(self, index: int) -> Iterable[Any]:  # noqa: ARG002
        """What the cache gave is known at the end: the last usage replaces this one."""
        usage = {"input_tokens": self._prompt_tokens, "output_tokens": 0}
        return ({"type": "message_start", "message": self._message([], None, None, usage)},)

    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]:  # noqa: ARG002
        for delta in deltas:
            yield from self._blocks.add(delta)

    def last(self, index: int, event: ChatFinished) -> Iterable[Any]:  # noqa: ARG002
        yield from self._blocks.close()
        reason, sequence = self._stop(event, calls=self._blocks.has_calls)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        yield {"type": "message_delta", "delta": delta, "usage": self._usage(event)}

    def closing(self, finished: Sequence[ChatFinished]) -> Iterable[Any]:  # noqa: ARG002
        return ({"type": "message_stop"},)

    def failed(self, failure: Failure) -> Iterable[Any]:
        return (error_object(failure),)

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        one = answers[0]
        content: list[dict[str, Any]] = []
        if one.reasoning:
            content.append({"type": "thinking", "thinking": one.reasoning, "signature": ""})
        if one.content:
            content.append({"type": "text", "text": one.content})
        content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)} for call in one.calls]
        return self._message(content, *self._stop(one.finished, calls=bool(one.calls)), self._usage(one.finished))

    def _message(
        self, content: list[dict[str, Any]], reason: str | None, sequence: str | None, usage: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": usage,
        }

    def _usage(self, finished: ChatFinished) -> dict[str, Any]:
        """`input_tokens` are those that neither came from the cache nor were put there for later."""
        usage = finished.usage
        computed = usage.prompt_tokens - usage.cached_tokens
        created = computed if self._marks_cache else 0
        return {
            "input_tokens": computed - created,
            "cache_creation_input_tokens": created,
            "cache_read_input_tokens": usage.cached_tokens,
            "output_tokens": usage.generated_tokens,
            "output_tokens_details": {"thinking_tokens": finished.reasoning_tokens},
        }

    def _stop(self, event: ChatFinished, *, calls: bool) -> tuple[str, str | None]:
        """The reason, and the client's stop sequence if that was it."""
        if event.reason is FinishReason.STOP_STRING and event.stop_string in self._stop_sequences:
            return "stop_sequence", event.stop_string
        reason = _STOP_REASONS[event.reason]
        return ("tool_use" if calls and reason == "end_turn" else reason), None


class _Blocks:
    """The blocks of a streamed message: one is open at a time, and their numbers follow each other."""

    def __init__(self) -> None:
        self.has_calls = False
        self._index = -1
        self._open: object = None
        """What the open block is made of: a type of delta, or the number of a call. None: none is open."""

    def add(self, delta: Delta) -> Iterable[Any]:
        """The events that `delta` is."""
        if isinstance(delta, CallDelta):
            self.has_calls = True
            start = {"type": "tool_use", "id": delta.id, "name": delta.name, "input": {}}
            yield from self._opened(delta.index, start)
            if delta.arguments:
                yield self._filled({"type": "input_json_delta", "partial_json": delta.arguments})
        elif isinstance(delta, ContentDelta):
            yield from self._opened(ContentDelta, {"type": "text", "text": ""})
            yield self._filled({"type": "text_delta", "text": delta.text})
        else:
            yield from self._opened(ReasoningDelta, {"type": "thinking", "thinking": "", "signature": ""})
            yield self._filled({"type": "thinking_delta", "thinking": delta.text})

    def close(self) -> Iterable[Any]:
        """The open block's end. Thoughts are signed with nothing, since some clients drop those without a signature."""
        if self._open is None:
            return
        if self._open is ReasoningDelta:
            yield self._filled({"type": "signature_delta", "signature": ""})
        self._open = None
        yield {"type": "content_block_stop", "index": self._index}

    def _opened(self, what: object, start: dict[str, Any]) -> Iterable[Any]:
        if self._open == what:
            return
        yield from self.close()
        self._open = what
        self._index += 1
        yield {"type": "content_block_start", "index": self._index, "content_block": start}

    def _filled(self, delta: dict[str, str]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}


def _input(call: Call) -> Any:
    """The arguments as an object: an empty one where the answer ended inside them, as its stop reason says."""
    try:
        return msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        return {}
