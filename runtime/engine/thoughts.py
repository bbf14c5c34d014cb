"""When a model has thought enough: its thoughts are counted, and where there are too many it is told to end them.

Pure: fed with tokens, asked for one that must come next. Refuses to know how tokens are sampled.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""


class ThoughtLimit(msgspec.Struct, frozen=True):
    """So many `tokens` of thoughts, between the texts `begin` and `end`; then come those of `closing`.

    `begun`: the prompt ends with `begin`.
    """

    tokens: int
    begin: str
    end: str
    closing: tuple[int, ...]
    begun: bool = False


class Thoughts:
    """Those of one answer. `piece` gives the bytes of a token, special ones included."""

    def __init__(self, limit: ThoughtLimit, piece: Callable[[int], bytes]) -> None:
        self._limit = limit
        self._piece = piece
        self._begin, self._end = limit.begin.encode(), limit.end.encode()
        self._text = b""
        self._thinks = limit.begun
        self._left = limit.tokens
        self._closing: list[int] = []
        self._close_if_due()

    def due(self) -> int | None:
        """The token that must come next; None: any may."""
        return self._closing[0] if self._closing else None

    def give_up(self) -> None:
        """What is due cannot come: the answer goes on as it likes."""
        self._closing = []
        self._thinks = False
        self._begin = b"\0"  # which no text has

    def note(self, token: int) -> None:
        """The answer goes on with `token`, which may be the one that is due."""
        if self._closing:
            self._closing.pop(0)
            self._thinks = bool(self._closing)
            self._text = b""
            return
        self._text += self._piece(token)
        if not self._thinks:
            _before, found, self._text = _apart(self._text, self._begin)
            self._thinks = found
            self._close_if_due()
            return
        self._left -= 1
        _before, found, self._text = _apart(self._text, self._end)
        if found:
            self._thinks = False
        else:
            self._close_if_due()

    def _close_if_due(self) -> None:
        """Not within a character: bytes that belong together stay together, for as many tokens as that takes."""
        if self._thinks and self._left <= 0 and (_is_whole(self._text) or self._left <= -_LONGEST_CHARACTER):
            self._closing = list(self._limit.closing)


def _apart(text: bytes, mark: bytes) -> tuple[bytes, bool, bytes]:
    """What is before `mark`, whether it is there, and what of the text may still be part of one."""
    before, found, after = text.partition(mark)
    return before, bool(found), after if found else text[-max(len(mark) - 1, _LONGEST_CHARACTER) :]


def _is_whole(text: bytes) -> bool:
    """Whether `text` does not end within a character, wherever it begins."""
    for length in range(1, min(len(text), _LONGEST_CHARACTER) + 1):
        byte = text[-length]
        if byte & 0xC0 != 0x80:  # no continuation: it says how many bytes its character has
            needed = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return length >= needed
    return True
