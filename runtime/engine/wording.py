"""The text of one answer, made of its tokens as they come.

Knows what a request wants of its text: which special tokens it shows, and what ends it. Where text can end the request,
the worker makes it; everywhere else whoever shows it does, in the event loop, while the next tokens are computed.
"""

from __future__ import annotations

from runtime.engine.backend import Model
from runtime.engine.lines import Lines
from runtime.engine.text import TextAssembler
from runtime.engine.types import FinishReason, GenerationRequest


class Wording:
    """What the tokens of an answer to `request` say, by the vocabulary of `model`.

    `can_end`: it may end the request; then what is sampled next depends on it. Used by one thread.
    """

    def __init__(self, request: GenerationRequest, model: Model) -> None:
        self.can_end = any(request.stop) or request.n_indent > 0
        self._piece = model.piece
        self._shown = request.shown
        self._assembler = TextAssembler(request.stop)
        self._lines = Lines(request.n_indent)

    @property
    def stop_string(self) -> str:
        """The one that was found, "" while none is."""
        return self._assembler.stop_string

    @property
    def has_ended_line(self) -> bool:
        """Whether a line has ended in what was said."""
        return self._lines.has_ended_one

    @property
    def ending(self) -> FinishReason | None:
        """Why nothing more is to be said, if so."""
        if self._assembler.stopped:
            return FinishReason.STOP_STRING
        return FinishReason.INDENTATION if self._lines.is_outside else None

    def push(self, token: int) -> str:
        """The text that `token`, which comes next, makes safe to show."""
        is_shown = token in self._shown if self._shown else False
        return self._lines.push(self._assembler.push(self._piece(token, special=is_shown)))

    def finish(self) -> str:
        """What was held back, when no more tokens come."""
        return self._lines.push(self._assembler.finish())
