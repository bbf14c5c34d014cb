"""How many ways there are to read what a model says, and what it takes to look for them, before llama.cpp looks.

llama.cpp follows all ways of reading a text at once, each as a stack of what has to come next, and nothing stops it:
of `x ::= "a" x "b" | "a" x "c"` there are twice as many after each letter, and they are gone through within one call.
Here the same stacks are followed beside it, with a limit. Equal stacks are one object here, and what follows a stack
is found once, so that even counting what is far too much takes little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from runtime.engine.errors import GrammarInvalid, GrammarTooCostly
from runtime.engine.gbnf.reading import AnyToken, Chars, Element, Rules, read_gbnf

_MAX_WAYS = 1_000
"""Ways of reading at a time: each is tried with every word of the vocabulary when a token is refused. Schemas and
patterns that people write have twenty at most, a union of hundreds of objects as many as these."""

_MAX_STEPS = 20_000
"""Ways that are tried for one token: a few milliseconds of llama.cpp's time."""

_FORESEEN = 32
"""Characters; few tokens have more."""

_TRIED = 4
"""Characters that are tried at each place: those that most ways begin with."""

_MAX_LOOKED_AT = 4_000
"""Ways that are looked at to foresee that: some ten milliseconds. JSON of any kind takes fifty."""

_MAX_LENGTH = 200
"""Characters of a token that are looked at; hardly any has more."""

_MAX_REMEMBERED = 20_000
"""Stacks, before those are forgotten that nothing needs any more."""


def check_gbnf(text: str) -> None:
    """Whether `text` can be followed from the rule `root` on. Raises `GrammarInvalid`, `GrammarTooCostly`."""
    Ways(read_gbnf(text.encode("utf-8", "replace").decode()), "root")


class _Stack:
    """What comes next is `elements[at]`, then what follows that in its alternative, then `rest`."""

    __slots__ = ("after", "at", "rest")

    def __init__(self, at: int, rest: _Stack | None) -> None:
        self.at = at
        self.rest = rest
        self.after: list[_Stack | None] | None = None


class Ways:
    """The ways to read what has been said since the rule `root` began. Raises `GrammarInvalid`, `GrammarTooCostly`."""

    def __init__(self, rules: Rules, root: str) -> None:
        self._elements = rules.elements
        self._starts = rules.starts
        self._made: dict[tuple[int, _Stack | None], _Stack] = {}
        if root not in rules.numbers:
            raise GrammarInvalid(f"there is no rule {root}")
        starts = rules.starts[rules.numbers[root]]
        self._ways = self._merged(self._advance(self._begun(at, None)) for at in starts)

    def __len__(self) -> int:
        """How many there are now; none when what was said does not fit."""
        return len(self._ways)

    def are_few(self, text: str, *, is_whole: bool = True) -> bool:
        """Whether llama.cpp tries few of them until it knows if `text` may come next.

        It stops at the first that takes all of it. A `text` that is not whole ends within a character.
        """
        found: dict[tuple[_Stack | None, int], tuple[bool, int]] = {}

        def follow(stack: _Stack | None, place: int) -> tuple[bool, int]:
            if place == len(text):
                return is_whole, 1
            if stack is None or not self._takes(stack, ord(text[place])):
                return False, 1
            known = found.get((stack, place))
            if known is None:
                if len(found) > _MAX_STEPS:
                    raise _TooMany
                known = found[stack, place] = first_that_takes(self._after(stack), place + 1)
            return known

        def first_that_takes(stacks: Iterable[_Stack | None], place: int) -> tuple[bool, int]:
            steps = 1
            for stack in stacks:
                taken, more = follow(stack, place)
                steps += more
                if taken:
                    return True, steps
            return False, steps

        if len(text) > _MAX_LENGTH:
            return False
        try:
            return first_that_takes(self._ways, 0)[1] <= _MAX_STEPS
        except _TooMany:
            return False

    def cheap_length(self) -> int | None:
        """How many characters a text may have for the ways to be few whatever it says; None: any number.

        Goes on, again and again, with the character that leaves the most ways, for as long as that takes little.
        """
        ways = dict(Counter(self._ways))
        looked_at = 0
        for length in range(_FORESEEN):
            looked_at += len(ways)
            if looked_at > _MAX_LOOKED_AT:
                return length
            after = self._most_after(ways)
            if sum(after.values()) > _MAX_STEPS:
                return length
            if not after or after == ways:
                return None
            ways = after
        return None

    def accept(self, text: str) -> None:
        """`text`, a whole token, comes next. Raises `GrammarTooCostly` when there are too many ways to go on then."""
        whole = [self._after(s) for s in self._ways if s is not None and isinstance(self._elements[s.at], AnyToken)]
        ways = self._ways
        for character in text:
            code = ord(character)
            ways = self._merged(self._after(stack) for stack in ways if stack is not None and self._takes(stack, code))
        self._ways = self._merged([ways, *whole]) if whole else ways
        if len(self._made) > _MAX_REMEMBERED:
            self._forget()

    def _most_after(self, ways: dict[_Stack | None, int]) -> dict[_Stack | None, int]:
        """The ways after that character after which there are most: each, and how often it is there."""
        open_ = [(stack, count) for stack, count in ways.items() if stack is not None]
        best: dict[_Stack | None, int] = {}
        ends: Counter[int] = Counter()
        for stack, count in open_:
            for code in _ends_of(self._elements[stack.at]):
                ends[code] += count
        for code, _ in ends.most_common(_TRIED):
            after: dict[_Stack | None, int] = {}
            for stack, count in open_:
                if self._takes(stack, code):
                    for following in self._after(stack):
                        after[following] = after.get(following, 0) + count
            if sum(after.values()) > sum(best.values()):
                best = after
        return best

    def _takes(self, stack: _Stack, code: int) -> bool:
        """Whether the character may come next there; a token of its own is none."""
        element = self._elements[stack.at]
        if not isinstance(element, Chars):
            return False
        return any(low <= code <= high for low, high in element.ranges) is not element.negated

    def _after(self, stack: _Stack) -> list[_Stack | None]:
        """What may come once that has come which comes next in `stack`."""
        if stack.after is None:
            stack.after = self._advance(self._behind(stack))
        return stack.after

    def _advance(self, start: _Stack | None) -> list[_Stack | None]:
        """The stacks that `start` stands for with a character next, or at the end: in llama.cpp's order."""
        found: list[_Stack | None] = []
        seen: set[_Stack | None] = set()
        todo = [start]
        while todo:
            stack = todo.pop()
            if stack in seen:
                continue
            seen.add(stack)
            element = None if stack is None else self._elements[stack.at]
            if stack is None or not isinstance(element, int):
                found.append(stack)
                continue
            rest = self._behind(stack)
            todo += [self._begun(at, rest) for at in self._starts[element]]
        return found

    def _behind(self, stack: _Stack) -> _Stack | None:
        """Without what comes next in it."""
        return self._begun(stack.at + 1, stack.rest)

    def _begun(self, at: int, rest: _Stack | None) -> _Stack | None:
        """`rest`, with what is at `at` before it, if anything."""
        if self._elements[at] is None:
            return rest
        stack = self._made.get((at, rest))
        if stack is None:
            stack = self._made[at, rest] = _Stack(at, rest)
        return stack

    def _merged(self, ways: Iterable[Iterable[_Stack | None]]) -> list[_Stack | None]:
        merged: dict[_Stack | None, None] = {}
        for stacks in ways:
            merged |= dict.fromkeys(stacks)
            if len(merged) > _MAX_WAYS:
                raise GrammarTooCostly(f"there are more than {_MAX_WAYS:,} ways to read one text")
        return list(merged)

    def _forget(self) -> None:
        """Keep only the stacks that are still open."""
        self._made.clear()
        for way in self._ways:
            stack = way
            while stack is not None and (stack.at, stack.rest) not in self._made:
                stack.after = None
                self._made[stack.at, stack.rest] = stack
                stack = stack.rest


class _TooMany(Exception):
    """There are more ways than it pays to count."""


def _ends_of(element: Element) -> Iterable[int]:
    """Characters that it takes, one from each end of what it takes."""
    if not isinstance(element, Chars):
        return ()
    if element.negated:
        return [high + 1 for _, high in element.ranges] or [ord("a")]
    return [low for low, _ in element.ranges]
