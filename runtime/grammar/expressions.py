"""Regular expressions as values that can be combined.

An expression stands for a set of texts. It is a number: its place in the table that made it. Equal expressions have
equal numbers; what is equal only in meaning may differ. Knows nothing of how a regular expression is written
(`regex.py`), nor how to find out which texts are in it (`derivatives.py`).

Something empty may be so only in some places of a text: `^` at its beginning, `$` at its end. So instead of whether an
expression may be empty it is known where, as in RE# (Varatalu, Veanes and Ernits 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_
from typing import Literal

import msgspec

from runtime.grammar import charset
from runtime.grammar.charset import Ranges
from runtime.grammar.work import Work

INSIDE, AT_BEGIN, AT_END, AT_BOTH = 1, 2, 4, 8
"""Places in a text, as bits: `AT_BOTH` is that of an empty text."""

ANYWHERE = INSIDE | AT_BEGIN | AT_END | AT_BOTH

Kind = Literal["begin", "end", "chars", "concat", "either", "both", "negate", "repeat"]


class Node(msgspec.Struct, frozen=True):
    """An expression: it may be empty at the places `empty_at`; `has_begin` if a "begin" is in it.

    A "concat" has two parts, of which the first is no "concat", or no part: it is empty then. `low` and `high` (None:
    no limit) are those of a "repeat".
    """

    kind: Kind
    parts: tuple[int, ...] = ()
    ranges: Ranges = ()
    low: int = 0
    high: int | None = None
    empty_at: int = 0
    has_begin: bool = False


class Expressions:
    """A table of expressions; `nodes[e]` is what the expression e is."""

    def __init__(self, work: Work) -> None:
        self.nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._work = work
        self.nothing = self._number(Node("either"))
        self.empty = self._number(Node("concat", empty_at=ANYWHERE))
        self.anything = self._number(Node("negate", (self.nothing,), empty_at=ANYWHERE))
        self.begin = self._number(Node("begin", empty_at=AT_BEGIN | AT_BOTH, has_begin=True))
        """The empty text, at the beginning of the whole one."""
        self.end = self._number(Node("end", empty_at=AT_END | AT_BOTH))
        """The empty text, at the end of the whole one."""

    def chars(self, ranges: Ranges) -> int:
        """One of these."""
        return self._number(Node("chars", ranges=ranges)) if ranges else self.nothing

    def text(self, text: str) -> int:
        """Just this."""
        return self.concat(*(self.chars(((ord(char), ord(char)),)) for char in text))

    def texts(self, texts: Iterable[str]) -> int:
        """One of these."""
        # A beginning that texts share is said once. The stack holds the beginnings of the text at hand, each one
        # character longer than the one before it, with what was found to follow.
        stack: list[tuple[str, list[int]]] = [("", [])]
        for text in [*sorted(set(texts)), None]:
            while len(stack) > 1 and (text is None or not text.startswith(stack[-1][0])):
                beginning, endings = stack.pop()
                stack[-1][1].append(self.concat(self.text(beginning[-1]), self.either(*endings)))
            if text is not None:
                stack.extend((text[: i + 1], []) for i in range(len(stack[-1][0]), len(text)))
                stack[-1][1].append(self.empty)
        return self.either(*stack[0][1])

    def concat(self, *parts: int) -> int:
        """These, one after the other."""
        result = self.empty
        todo = list(parts)
        while todo:
            part = todo.pop()
            if result == self.empty:
                result = part
            elif self.nodes[part].kind == "concat":
                todo.extend(self.nodes[part].parts)
            else:
                result = self._pair(part, result)
        return result

    def either(self, *parts: int) -> int:
        """Any of these."""
        found = {inner for part in parts for inner in self._flat("either", part)}
        self._work.spend(len(found))
        if self.anything in found:
            return self.anything
        single = [part for part in found if self.nodes[part].kind == "chars"]
        if len(single) > 1:
            union = charset.union(*(self.nodes[part].ranges for part in single))
            found = found.difference(single) | {self.chars(union)}
        if len(found) <= 1:
            return found.pop() if found else self.nothing
        return self._combination("either", found, reduce(or_, (self.nodes[part].empty_at for part in found)))

    def both(self, *parts: int) -> int:
        """What is all of these at once."""
        found = {inner for part in parts for inner in self._flat("both", part)} - {self.anything}
        self._work.spend(len(found))
        empty_at = reduce(and_, (self.nodes[part].empty_at for part in found), ANYWHERE)
        if self.nothing in found or (self.empty in found and not empty_at):
            return self.nothing
        if len(found) <= 1:
            return found.pop() if found else self.anything
        return self._combination("both", found, empty_at)

    def negate(self, part: int) -> int:
        """Every text but these."""
        node = self.nodes[part]
        if node.kind == "negate":
            return node.parts[0]
        return self._number(Node("negate", (part,), empty_at=ANYWHERE ^ node.empty_at, has_begin=node.has_begin))

    def repeat(self, part: int, low: int, high: int | None) -> int:
        """`part`, `low` to `high` times; None: any number of times."""
        node = self.nodes[part]
        if node.empty_at == ANYWHERE:
            low = 0
        if high == 0 or part == self.empty or (part == self.nothing and low == 0):
            return self.empty
        is_star = node.kind == "repeat" and (node.low, node.high) == (0, None)
        if (low, high) == (1, 1) or part in (self.nothing, self.anything) or is_star:
            return part
        empty_at = node.empty_at if low else ANYWHERE
        return self._number(Node("repeat", (part,), low=low, high=high, empty_at=empty_at, has_begin=node.has_begin))

    def _pair(self, first: int, rest: int) -> int:
        if self.nothing in (first, rest):
            return self.nothing
        if first == self.empty:
            return rest
        one, other = self.nodes[first], self.nodes[rest]
        if first == self.anything and other.empty_at == ANYWHERE:
            return self.anything
        has_begin = one.has_begin or other.has_begin
        return self._number(Node("concat", (first, rest), empty_at=one.empty_at & other.empty_at, has_begin=has_begin))

    def _combination(self, kind: Kind, parts: set[int], empty_at: int) -> int:
        has_begin = any(self.nodes[part].has_begin for part in parts)
        return self._number(Node(kind, tuple(sorted(parts)), empty_at=empty_at, has_begin=has_begin))

    def _flat(self, kind: Kind, part: int) -> tuple[int, ...]:
        node = self.nodes[part]
        return node.parts if node.kind == kind else (part,)

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._work.spend(1)
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]
