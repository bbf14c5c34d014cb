"""From a conversation to an answer in its parts: content, reasoning, tool calls. What all chat dialects do alike.

Knows conversations and their events. What they look like is the dialect's to know (`ChatWriter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web

from runtime.chat.answer import CallDelta, ContentDelta, Delta
from runtime.chat.job import ChatFinished, ChatJob, TakingApart
from runtime.engine.types import FinishedEvent, Probabilities, Progress, TokenEvent
from runtime.server.dialect import Failure
from runtime.server.generating import Answer, Begun, Writer, answer
from runtime.server.models import HostedModel
from runtime.server.stream import Framing

if TYPE_CHECKING:
    from runtime.chat.prompt import Prepared


class Call(msgspec.Struct, frozen=True):
    """A tool call of the model's. `arguments` is JSON in a string."""

    id: str
    name: str
    arguments: str


class ChatAnswer(msgspec.Struct, frozen=True):
    """A whole answer in its parts."""

    content: str
    reasoning: str
    calls: tuple[Call, ...]
    probabilities: tuple[Probabilities, ...]
    finished: ChatFinished


class ChatWriter(Protocol):
    """How one request's answers are written down; see `generating.Writer`.

    `part` is for an event and what it brought, which may be nothing; `last` comes after the last event's `part`.
    """

    framing: Framing

    def opening(self, index: int) -> Iterable[Any]: ...
    def part(self, index: int, deltas: Sequence[Delta], probabilities: tuple[Probabilities, ...]) -> Iterable[Any]: ...
    def last(self, index: int, event: ChatFinished) -> Iterable[Any]: ...
    def closing(self, finished: Sequence[ChatFinished]) -> Iterable[Any]: ...
    def failed(self, failure: Failure) -> Iterable[Any]: ...
    def whole(self, answers: Sequence[ChatAnswer]) -> Any: ...


Progressing = Callable[[int, Progress], Iterable[Any]]
"""Writes down how far the prompt of an answer has come."""


async def answer_chat(
    request: web.Request,
    hosted: HostedModel,
    job: ChatJob,
    writer: ChatWriter,
    *,
    streams: bool,
    n: int | None = None,
    begun: Begun | None = None,
    progressing: Progressing | None = None,
    telling_more: Callable[[Writer], Writer] | None = None,
) -> web.StreamResponse:
    """Generate `n` answers to a conversation, once unless said otherwise, and write them as `writer` does.

    `progressing` is told of the prompt, where the request reports progress; `telling_more` adds to what is written.
    """
    whole: Writer = _InParts(job.prepared, writer, progressing)
    if telling_more is not None:
        whole = telling_more(whole)
    return await answer(request, hosted.engine, job.request, whole, streams=streams, n=n, begun=begun)


class Assembling:
    """An answer that is put together of its parts."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, Call] = {}
        self._probabilities: list[Probabilities] = []

    def add(self, deltas: Sequence[Delta], probabilities: Sequence[Probabilities] = ()) -> None:
        """More of it."""
        self._probabilities += probabilities
        for delta in deltas:
            if isinstance(delta, ContentDelta):
                self._content.append(delta.text)
            elif isinstance(delta, CallDelta):
                begun = self._calls.get(delta.index) or Call(delta.id, delta.name, "")
                self._calls[delta.index] = msgspec.structs.replace(begun, arguments=begun.arguments + delta.arguments)
            else:
                self._reasoning.append(delta.text)

    def answer(self, finished: ChatFinished) -> ChatAnswer:
        """All of it, which has ended."""
        calls = tuple(self._calls.values())
        probabilities = tuple(self._probabilities)
        return ChatAnswer("".join(self._content), "".join(self._reasoning), calls, probabilities, finished)


class _InParts:
    """A `generating.Writer` that takes the text of each answer apart, and hands on what is in it."""

    def __init__(self, prepared: Prepared, writer: ChatWriter, progressing: Progressing | None) -> None:
        self.framing = writer.framing
        self._progressing = progressing
        self._prepared = prepared
        self._writer = writer
        self._taking: dict[int, TakingApart] = {}
        self._finished: dict[int, ChatFinished] = {}

    def opening(self, index: int) -> Iterable[Any]:
        self._taking[index] = TakingApart(self._prepared.parser())
        return self._writer.opening(index)

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
        if event.progress is not None and not event.tokens:
            return () if self._progressing is None else self._progressing(index, event.progress)
        return self._writer.part(index, self._taking[index].token(event), event.probabilities)

    def last(self, index: int, event: FinishedEvent) -> Iterable[Any]:
        deltas, finished = self._taking[index].last(event)
        self._finished[index] = finished
        yield from self._writer.part(index, deltas, ())
        yield from self._writer.last(index, finished)

    def closing(self, finished: Sequence[FinishedEvent]) -> Iterable[Any]:
        assert len(finished) == len(self._finished), "every answer has ended"
        return self._writer.closing([self._finished[index] for index in sorted(self._finished)])

    def failed(self, failure: Failure) -> Iterable[Any]:
        return self._writer.failed(failure)

    def whole(self, answers: Sequence[Answer]) -> Any:
        return self._writer.whole([self._apart(one) for one in answers])

    def _apart(self, one: Answer) -> ChatAnswer:
        taking = TakingApart(self._prepared.parser())
        assembling = Assembling()
        for event in one.events:
            assembling.add(taking.token(event), event.probabilities)
        deltas, finished = taking.last(one.finished)
        assembling.add(deltas)
        return assembling.answer(finished)
