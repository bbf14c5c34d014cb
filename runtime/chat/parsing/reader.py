"""Text that comes in pieces, read as if it were whole: whoever needs more of it waits.

Readers are generators: they yield when they need more text, and are resumed when there is more, or when it has ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Result = TypeVar("Result")
Reading = Generator[None, None, Result]

_SPACE = re.compile(r"\s*")
_OUTSIDE, _INSIDE = re.compile(r'["{}\[\]]'), re.compile(r'["\\]')
_SCALAR = re.compile(r"[^\s,\]}]*")


class Ended(Exception):
    """The text has ended where more was needed."""


class Unexpected(Exception):
    """The text does not go on in the way that was expected."""


class Marks:
    """Texts to look for. Of those that begin at one place the longest counts."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._marks = sorted({mark for mark in marks if mark}, key=len, reverse=True)
        firsts = "".join(sorted({mark[0] for mark in self._marks}))
        self._first = re.compile(f"[{re.escape(firsts)}]" if firsts else "(?!)")
        self._any = re.compile("|".join(map(re.escape, self._marks)) or "(?!)")

    def find(self, text: str, *, ended: bool) -> tuple[int, str | None]:
        """Where the first one begins, and which it is: None while that depends on what comes, or where there is none.

        What is before the place is certain to be none of them.
        """
        first = self._first.search(text)
        if first is None:
            return len(text), None
        found = self._any.search(text, first.start())
        end = len(text) if found is None else found.start() + 1
        if not ended:
            for place in self._places(text, first.start(), end):
                beginning = text[place:]
                if any(mark.startswith(beginning) and len(mark) > len(beginning) for mark in self._marks):
                    return place, None
        return (len(text), None) if found is None else (found.start(), found[0])

    def _places(self, text: str, start: int, end: int) -> Iterable[int]:
        """Where something may have begun that the text is too short for."""
        longest = len(self._marks[0])
        for match in self._first.finditer(text, max(start, len(text) - longest), end):
            yield match.start()


class Reader:
    """The text that has come and was not read yet. What is read is also kept in `taken`, unless that is None."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self.taken: str | None = None

    def take(self, count: int) -> str:
        """The next `count` characters, which are there."""
        taken, self.text = self.text[:count], self.text[count:]
        if self.taken is not None:
            self.taken += taken
        return taken

    def more(self) -> Reading[None]:
        """Wait for more text. Raises `Ended`."""
        if self.ended:
            raise Ended
        yield

    def space(self) -> Reading[None]:
        """Read whitespace, and wait for something behind it. Raises `Ended`."""
        while True:
            match = _SPACE.match(self.text)
            assert match is not None, "it matches nothing, too"
            self.take(match.end())
            if self.text:
                return
            yield from self.more()

    def next_is(self, text: str) -> Reading[bool]:
        """Whether `text` comes next, behind whitespace, which is read. Raises `Ended`."""
        yield from self.space()
        while len(self.text) < len(text) and text.startswith(self.text):
            yield from self.more()
        return self.text.startswith(text)

    def expect(self, text: str) -> Reading[None]:
        """Read `text`, and whitespace before it. Raises `Unexpected` and `Ended`."""
        if not text:
            return
        if not (yield from self.next_is(text)):
            raise Unexpected
        self.take(len(text))

    def up_to(self, marks: Marks, emit: Callable[[str], None]) -> Reading[str | None]:
        """Hand on text up to the first of `marks`, which is left; None if the text ends before one comes."""
        while True:
            place, mark = marks.find(self.text, ended=self.ended)
            if place:
                emit(self.take(place))
            if mark is not None or self.ended:
                return mark
            yield

    def until(self, marks: Marks, emit: Callable[[str], None]) -> Reading[str | None]:
        """As `up_to`, and read the mark."""
        mark = yield from self.up_to(marks, emit)
        if mark is not None:
            self.take(len(mark))
        return mark

    def json(self, emit: Callable[[str], None]) -> Reading[None]:
        """Hand on one JSON value, as it is written. Raises `Unexpected` and `Ended`."""
        yield from self.space()
        if self.text[0] in '{["':
            yield from self._balanced(emit)
            return
        length = 0
        while True:
            match = _SCALAR.match(self.text)
            assert match is not None, "it matches nothing, too"
            if match.end() < len(self.text):
                break
            emit(self.take(match.end()))
            length += match.end()
            yield from self.more()
        if not match.end() + length:
            raise Unexpected
        emit(self.take(match.end()))

    def string(self) -> Reading[str]:
        """A JSON string, as it is written. Raises `Unexpected` and `Ended`."""
        if not (yield from self.next_is('"')):
            raise Unexpected
        parts: list[str] = []
        yield from self.json(parts.append)
        return "".join(parts)

    def _balanced(self, emit: Callable[[str], None]) -> Reading[None]:
        depth, inside, escaped, place = 0, False, False, 0
        while True:
            if escaped and place < len(self.text):
                escaped, place = False, place + 1
            match = None if escaped else (_INSIDE if inside else _OUTSIDE).search(self.text, place)
            if match is None:
                emit(self.take(len(self.text)))
                place = 0
                yield from self.more()
                continue
            char, place = match[0], match.end()
            if char == "\\":
                escaped = True
            elif char == '"':
                inside = not inside
            else:
                depth += 1 if char in "{[" else -1
            if depth <= 0 and not inside:
                emit(self.take(place))
                return
