"""Reads GBNF into the rules that llama.cpp makes of it (src/llama-grammar.cpp), and refuses what would hang or end it.

llama.cpp takes grammars on trust: it fills the memory with one that begins with itself behind something empty, and
recurses as deeply as groups are nested. A grammar may come from anybody, so it is read here first. What is written in
another way than llama.cpp reads it is refused too. Knows nothing of texts: `ways.py` follows those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from runtime.engine.errors import GrammarInvalid, GrammarTooCostly


class Chars(msgspec.Struct, frozen=True):
    """One character within `ranges` (both ends included), or outside of them."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


class AnyToken(msgspec.Struct, frozen=True):
    """A token of its own (`<name>`), which is no text."""


Element = int | Chars | AnyToken | None
"""The number of a rule, a character, a token, or the end of an alternative."""


class Rules(msgspec.Struct, frozen=True):
    """`elements` of all alternatives, one after the other; an alternative of a rule begins at each of its `starts`."""

    elements: tuple[Element, ...]
    starts: tuple[tuple[int, ...], ...]
    numbers: dict[str, int]


_MAX_TEXT = 1_000_000
_MAX_ELEMENTS = 200_000
_MAX_NESTING = 100
_MAX_RANGES = 2_000
_MAX_REPEATED = 2_000
"""llama.cpp's MAX_REPETITION_THRESHOLD."""

_MAX_BEGINNINGS = 50_000
"""In how many ways a rule may begin: llama.cpp looks at all of them whenever the rule comes next."""

_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[a-zA-Z0-9-]+")
_CHAR = re.compile(r'\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\([trn\\"\[\]-])|([^\\])', re.DOTALL)
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_TOKEN = re.compile(r"!?<(?:\[[0-9]{1,9}\]|[^\[>][^>]*)>")
_COUNT = re.compile(r"\{[ \t]*([0-9]{1,6})[ \t]*(?:(,)[ \t]*([0-9]{1,18})?[ \t]*)?\}")


@lru_cache(maxsize=4)
def read_gbnf(text: str) -> Rules:
    """The rules of `text`. Raises `GrammarInvalid`, `GrammarTooCostly`."""
    if len(text) > _MAX_TEXT:
        raise GrammarTooCostly(f"it has more than {_MAX_TEXT:,} characters")
    if "\0" in text:
        raise GrammarInvalid("it holds a zero byte")
    bodies, numbers = _Reader(text).rules()
    _check_beginnings(bodies)
    elements: list[Element] = []
    starts: list[tuple[int, ...]] = []
    for alternatives in bodies:
        begins = []
        for body in alternatives:
            begins.append(len(elements))
            elements += [*body, None]
        starts.append(tuple(begins))
    return Rules(tuple(elements), tuple(starts), numbers)


Body = Sequence[Element]


class _Reader:
    """A recursive descent, with the same ideas of space, lines and repetitions as llama.cpp's."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._bodies: list[list[Body]] = []
        self._numbers: dict[str, int] = {}
        self._size = 0
        self._depth = 0

    def rules(self) -> tuple[list[list[Body]], dict[str, int]]:
        self._take(_SPACE_AND_LINES)
        while self._at < len(self._text):
            number = self._number(self._take(_NAME)[0])
            self._take(_SPACE)
            self._expect("::=")
            self._take(_SPACE_AND_LINES)
            self._bodies[number] = self._alternatives(nested=False)
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._error()
            self._take(_SPACE_AND_LINES)
        for name, number in self._numbers.items():
            if not self._bodies[number]:
                raise GrammarInvalid(f"there is no rule {name}")
        return self._bodies, self._numbers

    def _alternatives(self, *, nested: bool) -> list[Body]:
        found: list[Body] = [self._sequence(nested=nested)]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            self._take(_SPACE_AND_LINES)
            found.append(self._sequence(nested=nested))
        return found

    def _sequence(self, *, nested: bool) -> Body:
        body: list[Element] = []
        last = 0
        rules_in_last = 1
        while (head := self._text[self._at : self._at + 1]) and head not in "|)\r\n":
            if head in "*+?{":
                low, high = self._count(head)
                rules_in_last *= self._repeat(body, last, low, high, rules_in_last)
            else:
                last, rules_before = len(body), len(self._bodies)
                body += self._symbol(head)
                rules_in_last = max(1, len(self._bodies) - rules_before) if head == "(" else 1
            self._take(_SPACE_AND_LINES if nested else _SPACE)
        self._grow(len(body))
        return body

    def _symbol(self, head: str) -> Body:
        if head == '"':
            return [Chars(((code, code),)) for code in self._quoted()]
        if head == "[":
            return self._class()
        if head == "(":
            return [self._group()]
        if head == ".":
            self._at += 1
            return [Chars((), negated=True)]
        if head in "<!":
            self._take(_TOKEN)
            return [AnyToken()]
        return [self._number(self._take(_NAME)[0])]

    def _quoted(self) -> list[int]:
        self._at += 1
        codes: list[int] = []
        while self._text[self._at : self._at + 1] != '"':
            codes.append(self._char())
        self._at += 1
        return codes

    def _class(self) -> Body:
        self._at += 1
        negated = self._text[self._at : self._at + 1] == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        while self._text[self._at : self._at + 1] != "]":
            low = high = self._char()
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._char()
            ranges.append((low, high))
            if len(ranges) > _MAX_RANGES:
                raise GrammarTooCostly(f"a character is one of more than {_MAX_RANGES:,} ranges")
        self._at += 1
        return [Chars(tuple(ranges), negated)] if ranges else []

    def _group(self) -> int:
        self._at += 1
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise GrammarTooCostly(f"its groups are nested more than {_MAX_NESTING} deep")
        self._take(_SPACE_AND_LINES)
        number = self._new_rule()
        self._bodies[number] = self._alternatives(nested=True)
        self._expect(")")
        self._depth -= 1
        return number

    def _count(self, head: str) -> tuple[int, int | None]:
        if head != "{":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[head]
        low, comma, high = self._take(_COUNT).groups()
        if not comma:
            return int(low), int(low)
        if high is None or int(high) > _MAX_REPEATED:
            return int(low), None
        if int(high) < int(low):
            raise self._error()
        return int(low), int(high)

    def _repeat(self, body: list[Element], last: int, low: int, high: int | None, rules_in_last: int) -> int:
        """What stands at the end of `body`, from `last` on, `low` to `high` times: optional ones are rules.

        Returns how many times it has been written.
        """
        repeated = body[last:]
        times = high or low or 1
        if not repeated or max(low, rules_in_last * times) > _MAX_REPEATED:
            raise self._error()
        self._grow(len(repeated) * times)
        body[last:] = repeated * low
        optional = 1 if high is None else high - low
        rule: int | None = None
        for _ in range(optional):
            following = rule
            rule = self._new_rule()
            if high is None:
                following = rule
            self._bodies[rule] = [[*repeated, *([] if following is None else [following])], []]
        if rule is not None:
            body.append(rule)
        return times

    def _new_rule(self) -> int:
        self._grow(1)
        self._bodies.append([])
        return len(self._bodies) - 1

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._new_rule()
        return self._numbers[name]

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > _MAX_ELEMENTS:
            raise GrammarTooCostly(f"it comes to more than {_MAX_ELEMENTS:,} elements")

    def _char(self) -> int:
        found = self._take(_CHAR)
        if escaped := found[4]:
            return ord(_ESCAPED.get(escaped, escaped))
        if plain := found[5]:
            return ord(plain)
        return int(found[1] or found[2] or found[3], 16)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error()
        self._at = found.end()
        return found

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise self._error()
        self._at += len(text)

    def _error(self) -> GrammarInvalid:
        line = self._text.count("\n", 0, self._at) + 1
        return GrammarInvalid(f"line {line}: {self._text[self._at : self._at + 40]!r} is not expected there")


def _check_beginnings(bodies: Sequence[Sequence[Body]]) -> None:
    """Raises `GrammarInvalid` where a rule begins with itself, `GrammarTooCostly` where it begins in too many ways.

    What comes behind something that may be empty is a beginning too.
    """
    empty = _may_be_empty(bodies)
    ways: dict[int, int] = {}
    for number in range(len(bodies)):
        todo = [number]
        open_: set[int] = set()
        while todo:
            rule = todo[-1]
            firsts = [] if rule in ways else [e for body in bodies[rule] for e in _beginning(body, empty)]
            unknown = {e for e in firsts if isinstance(e, int) and e not in ways}
            if unknown & open_ or rule in unknown:
                raise GrammarInvalid("a rule begins with itself")
            if unknown:
                open_.add(rule)
                todo += unknown
                continue
            todo.pop()
            open_.discard(rule)
            if rule not in ways:
                ways[rule] = len(bodies[rule]) + sum(ways[e] if isinstance(e, int) else 1 for e in firsts)
                if ways[rule] > _MAX_BEGINNINGS:
                    raise GrammarTooCostly(f"a rule begins in more than {_MAX_BEGINNINGS:,} ways")


def _may_be_empty(bodies: Sequence[Sequence[Body]]) -> set[int]:
    """The rules that fit the empty text."""
    unknown: list[int] = []  # for each alternative, how many of its elements are not known to be empty
    owners: list[int] = []
    users: dict[Element, list[int]] = {}
    for number, alternatives in enumerate(bodies):
        for body in alternatives:
            for element in body:
                users.setdefault(element, []).append(len(unknown))
            unknown.append(len(body))
            owners.append(number)
    empty = {owner for owner, count in zip(owners, unknown, strict=True) if not count}
    todo = list(empty)
    while todo:
        for alternative in users.get(todo.pop(), ()):
            unknown[alternative] -= 1
            if not unknown[alternative] and owners[alternative] not in empty:
                empty.add(owners[alternative])
                todo.append(owners[alternative])
    return empty


def _beginning(body: Body, empty: set[int]) -> list[Element]:
    """The elements that may come first."""
    found = []
    for element in body:
        found.append(element)
        if element not in empty:
            break
    return found
