"""From a conversation to an answer in its parts: content, reasoning, tool calls. What all chat dialects do alike.

Knows conversations and their events. What they look like is the dialect's to know (`ChatWriter`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web

from runtime.chat.answer import AnswerParser, CallDelta, ContentDelta, Delta, ReasoningDelta
from runtime.engine.types import FinishedEvent, GenerationRequest, Probabilities, TokenEvent
from runtime.server.dialect import Failure
from runtime.server.errors import BadRequest
from runtime.server.generating import Answer, answer
from runtime.server.models import HostedModel
from runtime.server.stream import Framing

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared


class ChatJob(msgspec.Struct, frozen=True):
    """What the engine is asked for, and how its text is taken apart again."""

    prepared: Prepared
    request: GenerationRequest


class Call(msgspec.Struct, frozen=True):
    """A tool call of the model's. `arguments` is JSON in a string."""

    id: str
    name: str
    arguments: str


class ChatFinished(FinishedEvent, frozen=True):
    """The end of an answer, and how many of its tokens were thoughts."""

    reasoning_tokens: int = 0


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


def chat_job(hosted: HostedModel, conversation: Conversation, wanted: GenerationRequest) -> ChatJob:
    """`wanted`, which has no prompt yet, asked of a conversation. Raises `BadRequest`, `TemplateFailed`."""
    sampling = wanted.sampling
    if sampling.grammar and conversation.tools:
        raise BadRequest("grammar: either tools or a grammar, not both", "grammar")
    if sampling.triggers is None:
        conversation = msgspec.structs.replace(conversation, grammar=sampling.grammar)
    prepared = hosted.prepare(conversation)
    if sampling.triggers is None:
        sampling = msgspec.structs.replace(sampling, grammar=prepared.grammar, triggers=prepared.triggers)
    request = msgspec.structs.replace(
        wanted,
        prompt=prepared.tokens,
        shown=prepared.shown,
        sampling=sampling,
    )
    return ChatJob(prepared, request)


async def answer_chat(
    request: web.Request, hosted: HostedModel, job: ChatJob, writer: ChatWriter, *, streams: bool, n: int | None = None
) -> web.StreamResponse:
    """Generate `n` answers to a conversation, once unless said otherwise, and write them as `writer` does."""
    return await answer(request, hosted.engine, job.request, _InParts(job.prepared, writer), streams=streams, n=n)


class _InParts:
    """A `generating.Writer` that takes the text of each answer apart, and hands on what is in it."""

    def __init__(self, prepared: Prepared, writer: ChatWriter) -> None:
        self.framing = writer.framing
        self._prepared = prepared
        self._writer = writer
        self._taking: dict[int, _Taking] = {}
        self._finished: dict[int, ChatFinished] = {}

    def opening(self, index: int) -> Iterable[Any]:
        self._taking[index] = _Taking(self._prepared.parser())
        return self._writer.opening(index)

    def token(self, index: int, event: TokenEvent) -> Iterable[Any]:
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
        taking = _Taking(self._prepared.parser())
        deltas = [delta for event in one.events for delta in taking.token(event)]
        last, finished = taking.last(one.finished)
        content: list[str] = []
        reasoning: list[str] = []
        calls: dict[int, Call] = {}
        for delta in (*deltas, *last):
            if isinstance(delta, ContentDelta):
                content.append(delta.text)
            elif isinstance(delta, CallDelta):
                begun = calls.get(delta.index) or Call(delta.id, delta.name, "")
                calls[delta.index] = msgspec.structs.replace(begun, arguments=begun.arguments + delta.arguments)
            else:
                reasoning.append(delta.text)
        parts = "".join(content), "".join(reasoning), tuple(calls.values())
        return ChatAnswer(*parts, one.probabilities, finished)


class _Taking:
    """One answer while it is taken apart: its parser, and the tokens up to the last that brought a thought."""

    def __init__(self, parser: AnswerParser) -> None:
        self._parser = parser
        self._tokens = 0
        self._reasoning_tokens = 0

    def token(self, event: TokenEvent) -> tuple[Delta, ...]:
        self._tokens += len(event.tokens)
        return self._counted(self._parser.push(event.text)) if event.text else ()

    def last(self, event: FinishedEvent) -> tuple[tuple[Delta, ...], ChatFinished]:
        deltas = self._counted((*self._parser.push(event.text), *self._parser.finish()))
        fields = {field: getattr(event, field) for field in FinishedEvent.__struct_fields__}
        return deltas, ChatFinished(**fields, reasoning_tokens=self._reasoning_tokens)

    def _counted(self, deltas: tuple[Delta, ...]) -> tuple[Delta, ...]:
        if any(isinstance(delta, ReasoningDelta) for delta in deltas):
            self._reasoning_tokens = self._tokens
        return deltas
