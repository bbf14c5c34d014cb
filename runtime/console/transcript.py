"""A conversation in the terminal: what was said, and how it is changed. Pure; each change makes a new one."""

from __future__ import annotations

import msgspec

from runtime.chat.messages import Message


class Transcript(msgspec.Struct, frozen=True):
    """`turns` are the user's and the model's, in turn; `system` is said before them, None for nothing."""

    system: str | None = None
    turns: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """As the model is given them."""
        return (Message("system", self.system), *self.turns) if self.system else self.turns

    @property
    def question(self) -> str | None:
        """What the user said last."""
        return next((turn.content for turn in reversed(self.turns) if turn.role == "user"), None)

    @property
    def answer(self) -> Message | None:
        """What the model said last, if nothing came after it."""
        return self.turns[-1] if self.turns and self.turns[-1].role == "assistant" else None

    def with_system(self, text: str | None) -> Transcript:
        return Transcript(text or None, self.turns)

    def asked(self, text: str) -> Transcript:
        return Transcript(self.system, (*self.turns, Message("user", text)))

    def answered(self, content: str, reasoning: str = "") -> Transcript:
        return Transcript(self.system, (*self.turns, Message("assistant", content, reasoning)))

    def cleared(self) -> Transcript:
        """From the beginning; the system prompt stays."""
        return Transcript(self.system)

    def undone(self) -> Transcript | None:
        """Without the last question and what came after it; None where nothing was asked."""
        return self._up_to_question(keeps_it=False)

    def unanswered(self) -> Transcript | None:
        """Up to the last question; None where nothing was asked."""
        return self._up_to_question(keeps_it=True)

    def _up_to_question(self, *, keeps_it: bool) -> Transcript | None:
        places = [i for i, turn in enumerate(self.turns) if turn.role == "user"]
        return Transcript(self.system, self.turns[: places[-1] + keeps_it]) if places else None
