"""What an answer is made of, piece by piece as it is generated: content, reasoning, tool calls."""

from __future__ import annotations

from typing import Protocol

import msgspec


class ContentDelta(msgspec.Struct, frozen=True):
    """More of what is said to the user."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More of what the model thinks before it answers."""

    text: str


class CallDelta(msgspec.Struct, frozen=True):
    """More of a tool call; `index` counts the calls of the answer from 0.

    `id` and `name` are set in the first delta of a call and "" later. `arguments` is a piece of JSON text: all pieces
    of a call together are one JSON object, unless the generation ended inside it.
    """

    index: int
    id: str
    name: str
    arguments: str


Delta = ContentDelta | ReasoningDelta | CallDelta


class AnswerParser(Protocol):
    """Turns the text of one answer, in pieces of any length, into deltas."""

    def push(self, text: str) -> tuple[Delta, ...]:
        """What `text` makes certain; the rest is held back."""

    def finish(self) -> tuple[Delta, ...]:
        """What was held back, when nothing more comes. Closes nothing that the model did not close."""


class PlainParser:
    """Takes everything for content."""

    def push(self, text: str) -> tuple[Delta, ...]:
        return (ContentDelta(text),) if text else ()

    def finish(self) -> tuple[Delta, ...]:
        return ()
