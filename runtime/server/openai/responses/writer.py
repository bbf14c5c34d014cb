"""How `/v1/responses` answers: one object, or a stream of named events that build the same object up.

Knows the order of events. What an item of the output sends while it comes, `open_items.py` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from runtime.chat.answer import Delta
from runtime.chat.job import ChatFinished
from runtime.engine.backend import Model
from runtime.engine.types import Probabilities
from runtime.server.chatting import Call, ChatAnswer
from runtime.server.dialect import Failure
from runtime.server.openai.responses.free_text import free_text
from runtime.server.openai.responses.open_items import Event, OpenItem, item_for
from runtime.server.openai.responses.output import (
    ResponseHead,
    Status,
    call_item,
    custom_call_item,
    message_item,
    new_id,
    reasoning_item,
    status_of,
    text_part,
)
from runtime.server.openai.responses.tools import ResponseTools
from runtime.server.probabilities import token_probabilities
from runtime.server.stream import NAMED_EVENTS


class ResponsesWriter:
    """Writes the answer to one request. `top_logprobs` None: without probabilities. `keep` takes the whole of it."""

    framing = NAMED_EVENTS

    def __init__(
        self,
        head: ResponseHead,
        tools: ResponseTools,
        model: Model,
        top_logprobs: int | None,
        keep: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._head = head
        self._tools = tools
        self._model = model
        self._top_logprobs = top_logprobs
        self._keep = keep
        self._sent = 0
        self._open: OpenItem | None = None
        self._output: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []

    def opening(self, index: int) -> Iterable[Event]:  # noqa: ARG002
        begun = self._head.begun()
        return self._numbered(
            [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
        )

    def part(
        self,
        index: int,  # noqa: ARG002
        deltas: Sequence[Delta],
        probabilities: tuple[Probabilities, ...],
    ) -> Iterable[Event]:
        self._logprobs += self._written(probabilities)
        return self._numbered(event for delta in deltas for event in self._delta(delta))

    def last(self, index: int, event: ChatFinished) -> Iterable[Event]:  # noqa: ARG002
        return self._numbered(self._close(status_of(event.reason)))

    def closing(self, finished: Sequence[ChatFinished]) -> Iterable[Event]:
        response = self._kept(self._head.ended(finished[0], self._output))
        kind = "completed" if response["status"] == "completed" else "incomplete"
        return self._numbered([{"type": f"response.{kind}", "response": response}])

    def failed(self, failure: Failure) -> Iterable[Event]:
        events = list(self._close("incomplete"))
        response = self._kept(self._head.failed(failure, self._output))
        return self._numbered([*events, {"type": "response.failed", "response": response}])

    def whole(self, answers: Sequence[ChatAnswer]) -> Any:
        (one,) = answers
        status = status_of(one.finished.reason)
        output = [reasoning_item(new_id("rs"), one.reasoning, "completed")] if one.reasoning else []
        if one.content:
            part = text_part(one.content, self._written(one.probabilities))
            output.append(message_item(new_id("msg"), [part], "completed"))
        output += map(self._call, one.calls)
        if output:  # what the answer broke off in
            output[-1]["status"] = status
        return self._kept(self._head.ended(one.finished, output))

    def _kept(self, response: dict[str, Any]) -> dict[str, Any]:
        if self._keep is not None:
            self._keep(response)
        return response

    def _call(self, call: Call) -> dict[str, Any]:
        origin = self._tools.origin(call.name)
        if origin.is_custom:
            return custom_call_item(new_id("ctc"), call.id, origin, free_text(call.arguments), "completed")
        return call_item(new_id("fc"), call.id, origin, call.arguments, "completed")

    def _delta(self, delta: Delta) -> Iterator[Event]:
        if self._open is None or not self._open.takes(delta):
            yield from self._close("completed")
            self._open = item_for(delta, len(self._output), self._tools)
            yield from self._open.begin()
        logprobs, self._logprobs = self._logprobs, []
        yield from self._open.more(delta, logprobs)

    def _close(self, status: Status) -> Iterator[Event]:
        if self._open is not None:
            yield from self._open.end(status)
            self._output.append(self._open.item(status))
            self._open = None

    def _numbered(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            yield {**event, "sequence_number": self._sent}
            self._sent += 1

    def _written(self, probabilities: tuple[Probabilities, ...]) -> list[dict[str, Any]]:
        if self._top_logprobs is None or not probabilities:
            return []
        written = token_probabilities(self._model, probabilities, post_sampling=False)
        return [{**one, "top_logprobs": one["top_logprobs"][: self._top_logprobs]} for one in written]
