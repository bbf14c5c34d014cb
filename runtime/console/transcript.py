"""A conversation in the terminal: what was said, and how it is changed. Pure; each change makes a new one."""

from __future__ import annotations

import msgspec

from runtime.chat.messages import Message
from runtime.media.given import Given, apart, joined


class Transcript(msgspec.Struct, frozen=True):
    """`turns` are the user's and the model's, in turn; `system` is said before them, None for nothing.

    `shown` are pictures and sounds whose marks may stand in turns; what is asked about one comes after its mark.
    """

    system: str | None = None
    turns: tuple[Message, ...] = ()
    shown: tuple[Given, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """As the model is given them."""
        return (Message("system", self.system), *self.turns) if self.system else self.turns

    @property
    def media(self) -> tuple[Given, ...]:
        """Those that still stand in turns; those of the last question are shown just now."""
        asked = [turn.content for turn in self.turns if turn.role == "user"]
        return tuple(
            msgspec.structs.replace(one, is_now=one.mark in asked[-1])
            for one in self.shown
            if any(one.mark in text for text in asked)
        )

    @property
    def question(self) -> str | None:
        """What the user said last, for people."""
        asked = next((turn.content for turn in reversed(self.turns) if turn.role == "user"), None)
        words = {one.mark: one.word for one in self.shown}
        return None if asked is None else " ".join(words.get(piece, piece) for piece in apart(asked) if piece)

    @property
    def answer(self) -> Message | None:
        """What the model said last, if nothing came after it."""
        return self.turns[-1] if self.turns and self.turns[-1].role == "assistant" else None

    def with_system(self, text: str | None) -> Transcript:
        return msgspec.structs.replace(self, system=text or None)

    def asked(self, text: str, shown: tuple[Given, ...] = ()) -> Transcript:
        """With a question, about what is `shown` where there is anything."""
        content = joined((*(one.mark for one in shown), text or None))
        turns = (*self.turns, Message("user", content))
        return Transcript(self.system, turns, (*self.shown, *shown))

    def answered(self, content: str, reasoning: str = "") -> Transcript:
        return msgspec.structs.replace(self, turns=(*self.turns, Message("assistant", content, reasoning)))

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
        return msgspec.structs.replace(self, turns=self.turns[: places[-1] + keeps_it]) if places else None
