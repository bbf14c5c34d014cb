"""The terminal that a chat is written to: how wide it is, and what of a look it can show."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

from runtime.console.abilities import can_style, columns, has_colour
from runtime.console.ansi import styled
from runtime.console.markdown.span import Look, Span, merged, width_of_spans
from runtime.console.markdown.stream import MarkdownStream
from runtime.console.markdown.wrapping import Wrapped
from runtime.console.printable import printable

_NARROWEST, _WIDEST = 20, 100
"""Columns that are written for at least, and in which lines can still be read."""


class Writing(Protocol):
    """An answer while it is written."""

    def push(self, text: str) -> None: ...
    def finish(self) -> None: ...


class Screen:
    """Writes to `stream`, standard output unless told otherwise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_styled = can_style()
        self._is_coloured = has_colour()

    def width(self) -> int:
        """Columns for text."""
        return min(max(columns(self._stream), _NARROWEST), _WIDEST)

    def show(self, spans: Iterable[Span]) -> None:
        text = styled(spans, coloured=self._is_coloured) if self._is_styled else printable(_text(spans))
        self._stream.write(text)
        self._stream.flush()

    def line(self, text: str, look: Look = Look.PLAIN, first: Span | None = None) -> None:
        """A line of ours, broken between words like an answer's; what comes `first` has a column of its own."""
        head = [] if first is None else [first]
        width = self.width() if self._is_styled else sys.maxsize
        wrapped = Wrapped(width, head, [Span(" " * width_of_spans(head))])
        self.show(merged([*wrapped.push([Span(text, look)]), *wrapped.finish(), Span("\n")]))

    def markdown(self) -> Writing:
        """Where there are no looks, Markdown stays as it stands: it was made to be read so."""
        return _Rendered(self) if self._is_styled else _Verbatim(self)


class _Rendered:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._stream = MarkdownStream(screen.width)

    def push(self, text: str) -> None:
        self._screen.show(self._stream.push(text))

    def finish(self) -> None:
        self._screen.show(self._stream.finish())


class _Verbatim:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last = "\n"

    def push(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self._screen.show([Span(text)])

    def finish(self) -> None:
        if self._last != "\n":
            self.push("\n")


def _text(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)
