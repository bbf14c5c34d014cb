"""Spans into lines of some width, broken between words while they come. Knows no Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from wcwidth import wcwidth

from runtime.console.markdown.span import Look, Span, merged, width_of_spans
from runtime.console.widths import width_of


class Wrapped:
    """One paragraph. A word is held back until it is whole; wide characters are words of their own.

    `first` begins the first line and `hanging` all others, each counted in `width` (columns). A word that is longer
    than a line is left whole, so that an address can be copied, unless `breaks_words`.
    """

    def __init__(
        self, width: int, first: Iterable[Span] = (), hanging: Iterable[Span] = (), *, breaks_words: bool = False
    ) -> None:
        self._width = width
        self._hanging = list(hanging)
        self._breaks_words = breaks_words
        self._column = width_of_spans(first)
        self._start = self._column
        self._spaces: list[Span] = []
        self._word: list[Span] = []
        self._out: list[Span] = list(first)

    def push(self, spans: Iterable[Span]) -> list[Span]:
        for span in spans:
            for character in span.text:
                self._push(Span(character, span.look))
        return self._taken()

    def finish(self) -> list[Span]:
        """The last word. Ends no line."""
        self._end_word()
        return self._taken()

    def _push(self, one: Span) -> None:
        if one.text == "\n":
            self._end_word()
            self._end_line()
        elif one.text in " \t":
            self._end_word()
            self._spaces.append(Span(" ", one.look))
        elif wcwidth(one.text) == 2:
            self._end_word()
            self._word.append(one)
            self._end_word()
        else:
            self._word.append(one)

    def _end_word(self) -> None:
        width = width_of_spans(self._word)
        if not width:
            self._out += self._word
            self._word = []
            return
        if self._column + len(self._spaces) + width > self._width and self._column > self._start:
            self._end_line()
        self._out += self._spaces
        self._column += len(self._spaces)
        self._spaces = []
        for one in self._word:
            columns = width_of(one.text)
            if self._breaks_words and self._column + columns > self._width and self._column > self._start:
                self._end_line()
            self._out.append(one)
            self._column += columns
        self._word = []

    def _end_line(self) -> None:
        self._out += [Span("\n"), *self._hanging]
        self._column = self._start = width_of_spans(self._hanging)
        self._spaces = []

    def _taken(self) -> list[Span]:
        out, self._out = self._out, []
        return merged(out)


def lines_of(spans: Iterable[Span], width: int) -> list[list[Span]]:
    """Whole text as lines of `width` at most, without their ends; one line at least."""
    wrapped = Wrapped(max(width, 1), breaks_words=True)
    lines: list[list[Span]] = [[]]
    for span in [*wrapped.push(spans), *wrapped.finish()]:
        first, *more = span.text.split("\n")
        lines[-1].append(Span(first, span.look))
        lines += [[Span(text, span.look)] for text in more]
    return [merged(line) for line in lines]


def rule(width: int, label: str = "") -> list[Span]:
    """A line across, with a word in it."""
    width = min(width, 80)
    if not label:
        return [Span("─" * width, Look.FAINT)]
    begun = f"── {label} "
    return [Span(begun + "─" * max(width - width_of(begun), 2), Look.FAINT)]
