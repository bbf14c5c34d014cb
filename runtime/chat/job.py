"""From a conversation to what the engine is asked for, and from its events to the parts of an answer.

What every client of a chat does alike: the dialects, and the terminal. Refuses to know which of them it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from runtime.chat.answer import AnswerParser, Delta, ReasoningDelta
from runtime.chat.errors import AnswerFormConflict
from runtime.engine.types import FinishedEvent, GenerationRequest, TokenEvent

if TYPE_CHECKING:
    from runtime.chat.conversation import Conversation
    from runtime.chat.prompt import Prepared


class ChatJob(msgspec.Struct, frozen=True):
    """What the engine is asked for, and how its text is taken apart again."""

    prepared: Prepared
    request: GenerationRequest


class ChatFinished(FinishedEvent, frozen=True):
    """The end of an answer, and how many of its tokens were thoughts."""

    reasoning_tokens: int = 0


class Preparing(Protocol):
    """Who makes prompts of conversations; raises as `PromptBuilder.prepare` does."""

    def prepare(self, conversation: Conversation) -> Prepared: ...


def chat_job(prompts: Preparing, conversation: Conversation, wanted: GenerationRequest) -> ChatJob:
    """`wanted`, which has no prompt yet, asked of a conversation. Raises `AnswerFormConflict`, `TemplateFailed`."""
    sampling = wanted.sampling
    if sampling.grammar and conversation.tools:
        raise AnswerFormConflict("calls of tools", "a grammar")
    if sampling.triggers is None:
        conversation = msgspec.structs.replace(conversation, grammar=sampling.grammar)
    prepared = prompts.prepare(conversation)
    if sampling.triggers is None:
        sampling = msgspec.structs.replace(sampling, grammar=prepared.grammar, triggers=prepared.triggers)
    if prepared.thoughts is not None:
        sampling = msgspec.structs.replace(sampling, thoughts=prepared.thoughts)
    request = msgspec.structs.replace(
        wanted,
        prompt=prepared.tokens,
        shown=prepared.shown,
        stop=(*wanted.stop, *prepared.stop),
        turns=prepared.turns,
        pieces=prepared.pieces,
        sampling=sampling,
    )
    return ChatJob(prepared, request)


class TakingApart:
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
