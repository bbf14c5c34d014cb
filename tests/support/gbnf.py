"""A reader and matcher of GBNF, apart from llama.cpp's: exact, without tokens, and quick to say no.

It follows every way of reading a text at once, as llama.cpp does, and says how many there were. Repetitions are
counted rather than written out, but the limits that llama.cpp sets to them are kept. It also writes texts that fit.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

MOST_REPEATED = 2_000
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}


class Char(NamedTuple):
    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


class Ref(NamedTuple):
    rule: str


class Repeat(NamedTuple):
    body: tuple[Any, ...]
    low: int
    high: int | None


Stack = tuple[Any, Any] | None
"""What has to come next, and the stack of what follows it; None: nothing."""


class Gbnf:
    """A grammar. Raises `ValueError` if it is none, or not one that llama.cpp would take."""

    def __init__(self, text: str) -> None:
        self.rules = _Parser(text).rules
        for name, alternatives in self.rules.items():
            for ref in _refs(alternatives):
                if ref not in self.rules:
                    raise ValueError(f"{name} uses {ref}, which is not defined")
        self._cells: dict[tuple[int, int], Any] = {}
        self._heads: dict[Any, int] = {}
        self._start = self._advance({self._push(Ref("root"), None)})
        self.most_ways = 0
        """The most ways of reading that were open at a time, of all texts so far."""

    def accepts(self, text: str) -> bool:
        """Whether all of `text` fits."""
        return None in self._after(text)

    def begins(self, text: str) -> bool:
        """Whether `text` is the beginning of something that fits."""
        return bool(self._after(text))

    def sample(self, rng: random.Random, length: int) -> str:
        """A text that fits. It comes to its end as soon as it can once it has `length` characters."""
        shortest = self._shortest()
        out: list[str] = []
        todo: list[Any] = [Ref("root")]
        while todo:
            element = todo.pop()
            if isinstance(element, Char):
                out.append(_some_char(element, rng))
            elif isinstance(element, Ref):
                bodies = self.rules[element.rule]
                if len(out) >= length:
                    bodies = (min(bodies, key=lambda body: _length(body, shortest)),)
                todo += reversed(rng.choice(bodies))
            elif element.low or (element.high != 0 and len(out) < length and rng.random() < 0.7):
                high = None if element.high is None else element.high - 1
                todo += [Repeat(element.body, max(element.low - 1, 0), high), *reversed(element.body)]
        return "".join(out)

    def _shortest(self) -> dict[str, float]:
        """For each rule, how many characters the shortest text has that fits it."""
        shortest = dict.fromkeys(self.rules, float("inf"))
        changed = True
        while changed:
            changed = False
            for name, bodies in self.rules.items():
                length = min((_length(body, shortest) for body in bodies), default=float("inf"))
                changed |= length < shortest[name]
                shortest[name] = length
        return shortest

    def _after(self, text: str) -> set[Stack]:
        stacks = self._start
        for char in text:
            self.most_ways = max(self.most_ways, len(stacks))
            stacks = self._advance({stack[1] for stack in stacks if stack and _matches(stack[0], ord(char))})
        return stacks

    def _push(self, element: Any, rest: Stack) -> Stack:
        """Equal stacks are the same object, so comparing them takes no time."""
        key = (self._heads.setdefault(element, len(self._heads)), id(rest))
        return self._cells.setdefault(key, (element, rest))  # type: ignore[no-any-return]

    def _advance(self, stacks: set[Stack]) -> set[Stack]:
        """The stacks that these lead to whose next is a character, or that are at the end."""
        found: set[Stack] = set()
        seen: set[int] = set()
        todo = list(stacks)
        while todo:
            stack = todo.pop()
            if id(stack) in seen:
                continue
            seen.add(id(stack))
            if stack is None or isinstance(stack[0], Char):
                found.add(stack)
                continue
            element, rest = stack
            if isinstance(element, Ref):
                bodies = self.rules[element.rule]
            elif element.low:
                high = None if element.high is None else element.high - 1
                bodies = ((*element.body, Repeat(element.body, element.low - 1, high)),)
            else:
                high = None if element.high is None else element.high - 1
                bodies = ((),) if element.high == 0 else ((), (*element.body, Repeat(element.body, 0, high)))
            for body in bodies:
                target = rest
                for part in reversed(body):
                    target = self._push(part, target)
                todo.append(target)
        return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.rules: dict[str, tuple[tuple[Any, ...], ...]] = {}
        self._space(newlines=True)
        while self._at < len(text):
            name = self._name()
            self._space(newlines=False)
            self._expect("::=")
            self._space(newlines=True)
            if name in self.rules:
                raise ValueError(f"{name} is defined twice")
            self.rules[name] = self._alternatives(nested=False)
            if self._at < len(text):
                self._expect("\n")
            self._space(newlines=True)

    def _alternatives(self, *, nested: bool) -> tuple[tuple[Any, ...], ...]:
        found = [self._sequence(nested=nested)]
        while self._peek() == "|":
            self._at += 1
            self._space(newlines=True)
            found.append(self._sequence(nested=nested))
        return tuple(found)

    def _sequence(self, *, nested: bool) -> tuple[Any, ...]:
        done: list[Any] = []
        last: tuple[Any, ...] = ()
        while True:
            char = self._peek()
            if char == '"':
                self._at += 1
                done += last
                points = []
                while self._peek() != '"':
                    point = self._char()
                    points.append(Char(((point, point),)))
                self._at += 1
                last = tuple(points)
            elif char == "[":
                done += last
                last = (self._class(),)
            elif char == "(":
                self._at += 1
                self._space(newlines=True)
                done += last
                inner = self._alternatives(nested=True)
                self._expect(")")
                name = f"group {len(self.rules)} {self._at}"
                self.rules[name] = inner
                last = (Ref(name),)
            elif char and char in _NAME:
                done += last
                last = (Ref(self._name()),)
            elif char and char in "*+?{":
                low, high = self._counts()
                if not last:
                    raise ValueError("nothing to repeat")
                if max(low, high or 0) > MOST_REPEATED:
                    raise ValueError("llama.cpp does not repeat so often")
                last = (Repeat(last, low, high),)
            else:
                return (*done, *last)
            self._space(newlines=nested)

    def _class(self) -> Char:
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        ranges = []
        while self._peek() != "]":
            low = high = self._char()
            if self._peek() == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                high = self._char()
            ranges.append((low, high))
        self._at += 1
        return Char(tuple(ranges), negated)

    def _char(self) -> int:
        char = self._text[self._at]
        self._at += 1
        if char != "\\":
            return ord(char)
        kind = self._text[self._at]
        self._at += 1
        if kind in _HEX_LENGTHS:
            digits = self._text[self._at : self._at + _HEX_LENGTHS[kind]]
            self._at += len(digits)
            return int(digits, 16)
        return ord(_ESCAPES[kind])

    def _counts(self) -> tuple[int, int | None]:
        sign = self._text[self._at]
        self._at += 1
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self._text.index("}", self._at)
        low, comma, high = self._text[self._at : end].partition(",")
        self._at = end + 1
        return int(low), int(high) if high else None if comma else int(low)

    def _name(self) -> str:
        start = self._at
        while self._peek() and self._peek() in _NAME:
            self._at += 1
        if start == self._at:
            raise ValueError(f"no name at {self._text[start : start + 20]!r}")
        return self._text[start : self._at]

    def _space(self, *, newlines: bool) -> None:
        while self._peek() in ((" ", "\t", "\n") if newlines else (" ", "\t")):
            self._at += 1

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise ValueError(f"no {text!r} at {self._text[self._at : self._at + 20]!r}")
        self._at += len(text)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]


def _matches(element: Any, point: int) -> bool:
    return any(low <= point <= high for low, high in element.ranges) != element.negated


def _length(body: tuple[Any, ...], shortest: dict[str, float]) -> float:
    total = 0.0
    for element in body:
        if isinstance(element, Char):
            total += 1
        elif isinstance(element, Ref):
            total += shortest[element.rule]
        elif element.low:
            total += element.low * _length(element.body, shortest)
    return total


def _some_char(element: Char, rng: random.Random) -> str:
    assert not element.negated, "what is written here names the characters that are allowed"
    low, high = rng.choice(element.ranges)
    return chr(rng.choice((low, high, rng.randint(low, high), rng.randint(low, min(high, low + 30)))))


def _refs(alternatives: tuple[tuple[Any, ...], ...]) -> list[str]:
    todo = [element for sequence in alternatives for element in sequence]
    found = []
    while todo:
        element = todo.pop()
        if isinstance(element, Ref):
            found.append(element.rule)
        elif isinstance(element, Repeat):
            todo += element.body
    return found
