"""Markdown in pieces of any length into spans: what each line is is told by how it begins, and then it flows.

Not all of CommonMark: a newline ends a line (people who write poems and addresses mean it, and so do models), tables
begin with a bar, headings with `#`. What is none of this is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from runtime.console.markdown.inline import Inline, inline
from runtime.console.markdown.span import Look, Span, merged
from runtime.console.markdown.tables import is_table, table
from runtime.console.markdown.wrapping import Wrapped, rule
from runtime.console.widths import width_of

LARGEST_TABLE = 500
"""Rows that are held back at most, to find how wide the columns have to be."""

_FENCE = re.compile(r"( *)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|$)")
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])[ \t]+(\[[ xX]\] )?")
_MAYBE_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)]?)(?:[ \t]+(?:\[[ xX]?\]?)?)?")
_RULE = re.compile(r"([-*_])(?:[ \t]*\1){2,}[ \t]*")
_MAYBE_RULE = re.compile(r"([-*_])(?:[ \t]*\1)*[ \t]*")
_QUOTE = re.compile(r"(?:> ?)+")
_BULLETS = {"": "•", "[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}
_HEADINGS = (Look.HEADING | Look.BOLD, Look.HEADING, Look.BOLD)
_TAB = "    "


class _Line(Protocol):
    """A line whose kind is known, and that flows."""

    def push(self, text: str) -> list[Span]: ...
    def finish(self) -> list[Span]: ...


class MarkdownStream:
    """One text. `width` is asked at each line's beginning, since a window may change meanwhile."""

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._begun = ""
        self._line: _Line | None = None
        self._fence: str | None = None
        self._rows: list[str] = []
        self._in_list = False
        self._blank = False
        self._is_first = True
        self._out: list[Span] = []

    def push(self, text: str) -> list[Span]:
        """What `text` makes certain."""
        first, *more = text.split("\n")
        self._feed(first)
        for line in more:
            self._end_line()
            self._feed(line)
        return self._taken()

    def finish(self) -> list[Span]:
        """The rest. The last line has its end then, if there is any line."""
        if self._begun or self._line is not None:
            self._end_line()
        self._end_table()
        if self._fence is not None:
            self._put_line(rule(self._width()))
        return self._taken()

    def _taken(self) -> list[Span]:
        out, self._out = self._out, []
        return merged(out)

    def _feed(self, text: str) -> None:
        """More of a line. Its kind is told as soon as it can be."""
        if self._line is None:
            self._begun += text
            if not self._begun or self._waits(self._begun):
                return
            text, self._begun = self._begun, ""
            self._line, text = self._opened(text)
        self._out += self._line.push(text)

    def _end_line(self) -> None:
        if self._line is None:
            text, self._begun = self._begun, ""
            if self._is_done(text):
                return
            self._line, text = self._opened(text)
            self._out += self._line.push(text)
        self._out += [*self._line.finish(), Span("\n")]
        self._line = None

    def _waits(self, text: str) -> bool:
        """Whether a line that begins with `text` may be one of several kinds yet, or is of one that is taken whole."""
        bare = text.lstrip(" \t")
        if self._fence is not None:
            return not bare.rstrip() or (self._fence.startswith(bare[0]) and not bare.rstrip().strip(bare[0]))
        bare = _QUOTE.sub("", bare, count=1)
        return (
            not bare
            or bare.startswith(("|", "```", "~~~"))
            or bare in ("`", "``", "~", "~~")
            or not bare.strip("#")
            or _MAYBE_ITEM.fullmatch(bare) is not None
            or _MAYBE_RULE.fullmatch(bare) is not None
        )

    def _is_done(self, text: str) -> bool:
        """Whether `text`, a whole line, was one that does not flow; then it is put out, or kept for later."""
        bare = text.strip()
        if self._fence is not None:
            if len(bare) >= len(self._fence) and not bare.strip(self._fence[0]):
                self._fence = None
                self._put_line(rule(self._width()))
                return True
            return False
        if bare.startswith("|"):
            self._rows.append(bare)
            if len(self._rows) >= LARGEST_TABLE:
                self._end_table()
            return True
        self._end_table()
        if not bare:
            self._blank = not self._is_first
            return True
        fence = _FENCE.fullmatch(text)
        if fence is not None:
            self._fence = fence[2]
            self._put_line(rule(self._width(), fence[3].strip().split(" ")[0]))
            return True
        if _RULE.fullmatch(bare):
            self._put_line(rule(self._width()))
            return True
        return False

    def _opened(self, text: str) -> tuple[_Line, str]:
        """The line that begins with `text`, and what of `text` is in it."""
        if self._fence is not None:
            return _Code(), text
        self._end_table()
        self._space()
        bare = text.lstrip(" \t")
        indent = len(text[: len(text) - len(bare)].replace("\t", _TAB))
        if indent >= 4 and not self._in_list:
            return _Code(), text
        quote = _QUOTE.match(bare)
        prefix = [Span("│ " * quote[0].count(">"), Look.FAINT)] if quote else []
        bare = bare[quote.end() :] if quote else bare
        heading = _HEADING.match(bare)
        if heading is not None:
            self._in_list = False
            look = _HEADINGS[min(len(heading[1]), 3) - 1]
            return self._flowing(prefix, prefix, look), bare[heading.end() :]
        item = _ITEM.match(bare)
        if item is None:
            self._in_list = self._in_list and indent > 0
            prefix.append(Span(" " * self._indent(indent)))
            return self._flowing(prefix, prefix, Look.FAINT if quote else Look.PLAIN), bare
        self._in_list = True
        number = f"{item[1]} " if item[1][0].isdigit() else ""
        mark = number + (f"{_BULLETS[item[2] or '']} " if item[2] or not number else "")
        first = [*prefix, Span(" " * self._indent(indent)), Span(mark, Look.BOLD)]
        hanging = [*prefix, Span(" " * (self._indent(indent) + width_of(mark)))]
        return self._flowing(first, hanging, Look.PLAIN), bare[item.end() :]

    def _flowing(self, first: list[Span], hanging: list[Span], look: Look) -> _Line:
        return _Flowing(Inline(look), Wrapped(self._width(), first, hanging))

    def _indent(self, columns: int) -> int:
        """No more than leaves room for words."""
        return min(columns, self._width() // 3)

    def _end_table(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        self._space()
        if is_table(rows):
            self._out += table(rows, self._width())
            return
        for row in rows:
            line = Wrapped(self._width())
            self._out += [*line.push(inline(row)), *line.finish(), Span("\n")]

    def _put_line(self, spans: list[Span]) -> None:
        self._space()
        self._out += [*spans, Span("\n")]

    def _space(self) -> None:
        """The empty line that was held back: none at the beginning or the end, and never two."""
        if self._blank:
            self._out.append(Span("\n"))
        self._blank = self._is_first = False


class _Flowing:
    """Text with marks in it, wrapped."""

    def __init__(self, reader: Inline, wrapped: Wrapped) -> None:
        self._reader = reader
        self._wrapped = wrapped

    def push(self, text: str) -> list[Span]:
        return self._wrapped.push(self._reader.push(text))

    def finish(self) -> list[Span]:
        return [*self._wrapped.push(self._reader.finish()), *self._wrapped.finish()]


class _Code:
    """Code as it stands. The terminal breaks it where it is too long, so that it can be copied."""

    def push(self, text: str) -> list[Span]:
        return [Span(text, Look.CODE)]

    def finish(self) -> list[Span]:
        return []
