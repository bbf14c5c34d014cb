"""What is said beside the answer: on standard error, and only where a person looks at it."""

from __future__ import annotations

import sys
import textwrap
from typing import TextIO

from runtime.console.abilities import can_style, columns
from runtime.console.printable import printable
from runtime.console.widths import shortened

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_START_OF_LINE = "\r\x1b[K"


class Aside:
    """Says nothing unless `stream` is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.is_heard = bool(self._stream and self._stream.isatty())
        self._styled = self.is_heard and can_style()
        self._has_status = False

    @property
    def width(self) -> int:
        """Columns of a line, which people change."""
        return columns(self._stream)

    def status(self, text: str) -> None:
        """Something that passes: whatever is said next takes its place. Nothing where a line cannot be taken back.

        It is cut at the window's edge: no more than one line can be taken back.
        """
        if self._styled:
            self._write(f"{_START_OF_LINE}{_DIM}{shortened(printable(text), self.width)}{_PLAIN}")
            self._has_status = True

    def clear(self) -> None:
        """Take the status back; due before anything is written to standard output."""
        if self._has_status:
            self._write(_START_OF_LINE)
            self._has_status = False

    def say(self, text: str) -> None:
        """Something that stays."""
        self.clear()
        if self.is_heard:
            shown = printable(text)
            if shown.endswith("\n") and "\n" not in shown[:-1]:  # a line; else a piece of one that grows
                shown = f"{broken(shown, self._stream)}\n"
            self._write(f"{_DIM}{shown}{_PLAIN}" if self._styled else shown)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def broken(line: str, stream: TextIO) -> str:
    """`line` in lines as wide as `stream`'s window, broken between words; as it is where that is no terminal."""
    if not stream.isatty():
        return line
    return textwrap.fill(line, columns(stream), break_long_words=False, break_on_hyphens=False)
