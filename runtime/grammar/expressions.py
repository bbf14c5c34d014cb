"""Regular expressions as values that can be combined, and their automata by derivatives.

The derivative of an expression by a character is an expression for what may follow that character. Expressions that
are reached from one by derivatives are the states of its automaton. So "both of these" and "not this" cost no more
than "one of these" (Brzozowski 1964; Owens, Reppy and Turon 2009, "Regular-expression derivatives re-examined").

An expression is a number: its place in the table that made it. Equal expressions have equal numbers; what is equal
only in meaning may differ. Knows nothing of how a regular expression is written.

A text is taken with a mark before and behind it, `BEGIN` and `END`: two code points that are no characters. So an
expression can say where in the text it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from runtime.grammar import charset
from runtime.grammar.automaton import Automaton, explore
from runtime.grammar.charset import Ranges
from runtime.grammar.work import Work

BEGIN = 0x110000
END = 0x110001

Kind = Literal["chars", "concat", "either", "both", "negate", "repeat"]


class _Node(msgspec.Struct, frozen=True):
    """`parts` of a concatenation are two; `low` and `high` (None: no limit) are those of a repetition."""

    kind: Kind
    parts: tuple[int, ...] = ()
    ranges: Ranges = ()
    low: int = 0
    high: int | None = None


class Expressions:
    """A table of expressions."""

    def __init__(self, work: Work) -> None:
        self._nodes: list[_Node] = []
        self._numbers: dict[_Node, int] = {}
        self._nullable: list[bool] = []
        self._derived: dict[tuple[int, int], int] = {}
        self._work = work
        self.nothing = self._number(_Node("either"), nullable=False)
        self.empty = self._number(_Node("concat"), nullable=True)
        self.anything = self._number(_Node("negate", (self.nothing,)), nullable=True)
        """Every sequence of code points, the marks among them."""

    def chars(self, ranges: Ranges) -> int:
        """One of these."""
        return self._number(_Node("chars", ranges=ranges), nullable=False) if ranges else self.nothing

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

    def whole(self, part: int) -> int:
        """A text, from its beginning to its end, that is `part`."""
        return self.concat(self.chars(((BEGIN, BEGIN),)), part, self.chars(((END, END),)))

    def concat(self, *parts: int) -> int:
        """These, one after the other."""
        flat: list[int] = []
        todo = list(reversed(parts))
        while todo:
            part = todo.pop()
            node = self._nodes[part]
            if node.kind == "concat":
                todo.extend(reversed(node.parts))
            else:
                flat.append(part)
        result = self.empty
        for part in reversed(flat):
            result = self._pair(part, result)
        return result

    def either(self, *parts: int) -> int:
        """Any of these."""
        found = {inner for part in parts for inner in self._flat("either", part)}
        if self.anything in found:
            return self.anything
        single = [part for part in found if self._nodes[part].kind == "chars"]
        if len(single) > 1:
            found = found.difference(single) | {
                self.chars(charset.union(*(self._nodes[part].ranges for part in single)))
            }
        if len(found) <= 1:
            return found.pop() if found else self.nothing
        return self._number(_Node("either", tuple(sorted(found))), any(self._nullable[part] for part in found))

    def both(self, *parts: int) -> int:
        """What is all of these at once."""
        found = {inner for part in parts for inner in self._flat("both", part)} - {self.anything}
        if self.nothing in found:
            return self.nothing
        nullable = all(self._nullable[part] for part in found)
        if self.empty in found:
            return self.empty if nullable else self.nothing
        if len(found) <= 1:
            return found.pop() if found else self.anything
        return self._number(_Node("both", tuple(sorted(found))), nullable)

    def negate(self, part: int) -> int:
        """Every sequence of code points but these."""
        if self._nodes[part].kind == "negate":
            return self._nodes[part].parts[0]
        return self._number(_Node("negate", (part,)), not self._nullable[part])

    def repeat(self, part: int, low: int, high: int | None) -> int:
        """`part`, `low` to `high` times; None: any number of times."""
        if self._nullable[part]:
            low = 0
        if high == 0 or part == self.empty or (part == self.nothing and low == 0):
            return self.empty
        node = self._nodes[part]
        is_star = node.kind == "repeat" and (node.low, node.high) == (0, None)
        if (low, high) == (1, 1) or part in (self.nothing, self.anything) or is_star:
            return part
        return self._number(_Node("repeat", (part,), low=low, high=high), low == 0)

    def derive(self, part: int, point: int) -> int:
        """What may follow the code point `point` at the beginning of `part`."""
        if (part, point) in self._derived:
            return self._derived[part, point]
        self._work.spend(1)
        node = self._nodes[part]
        if node.kind == "chars":
            result = self.empty if charset.contains(node.ranges, point) else self.nothing
        elif node.kind == "concat":
            result = self._derive_row(part, point)
        elif node.kind == "either":
            result = self.either(*(self.derive(inner, point) for inner in node.parts))
        elif node.kind == "both":
            result = self.both(*(self.derive(inner, point) for inner in node.parts))
        elif node.kind == "negate":
            result = self.negate(self.derive(node.parts[0], point))
        else:
            high = None if node.high is None else node.high - 1
            rest = self.repeat(node.parts[0], max(node.low - 1, 0), high)
            result = self.concat(self.derive(node.parts[0], point), rest)
        self._derived[part, point] = result
        return result

    def matches(self, part: int, text: str) -> bool:
        """Whether `part` says this of `text`."""
        for point in (BEGIN, *map(ord, text), END):
            part = self.derive(part, point)
        return self._nullable[part]

    def automaton(self, part: int) -> Automaton:
        """The automaton of the texts of which `part` says this."""
        text = self.both(part, self.whole(self.repeat(self.chars(charset.UNICODE), 0, None)))
        return explore(self.derive(text, BEGIN), self._steps, self._accepts, self._work)

    def _accepts(self, part: int) -> bool:
        return self._nullable[self.derive(part, END)]

    def _steps(self, part: int) -> Iterable[tuple[Ranges, int]]:
        sets = self._first_sets(part)
        bounds = sorted({end for ranges in sets for low, high in ranges for end in (low, high + 1)})
        classes: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for i, low in enumerate(bounds[:-1]):
            members = tuple(n for n, ranges in enumerate(sets) if charset.contains(ranges, low))
            self._work.spend(len(sets))
            classes.setdefault(members, []).append((low, bounds[i + 1] - 1))
        for members, ranges in classes.items():
            # what is in none of the sets leads nowhere, or to anything, but it is no character
            target = self.derive(part, ranges[0][0]) if members and ranges[0][0] < BEGIN else self.nothing
            if target != self.nothing:
                yield charset.union(ranges), target

    def _first_sets(self, part: int) -> list[Ranges]:
        """Sets such that characters that are in the same ones lead to the same place."""
        found: dict[Ranges, None] = {}
        seen: set[int] = set()
        todo = [part]
        while todo:
            self._work.spend(1)
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            node = self._nodes[current]
            if node.kind == "chars":
                found[node.ranges] = None
            elif node.kind == "concat":
                todo.extend(node.parts[:1])
                todo.extend(node.parts[1:] if node.parts and self._nullable[node.parts[0]] else ())
            else:
                todo.extend(node.parts)
        return list(found)

    def _derive_row(self, part: int, point: int) -> int:
        """A concatenation's derivative: by its first part, and by later ones while those before them may be empty."""
        ways = []
        while True:
            node = self._nodes[part]
            if node.kind != "concat" or not node.parts:
                ways.append(self.derive(part, point) if node.kind != "concat" else self.nothing)
                break
            first, rest = node.parts
            ways.append(self.concat(self.derive(first, point), rest))
            if not self._nullable[first]:
                break
            part = rest
        return self.either(*ways)

    def _pair(self, first: int, rest: int) -> int:
        if self.nothing in (first, rest):
            return self.nothing
        if first == self.empty:
            return rest
        if rest == self.empty:
            return first
        if first == self.anything and self._nullable[rest]:
            return self.anything
        return self._number(_Node("concat", (first, rest)), self._nullable[first] and self._nullable[rest])

    def _flat(self, kind: Kind, part: int) -> tuple[int, ...]:
        node = self._nodes[part]
        return node.parts if node.kind == kind else (part,)

    def _number(self, node: _Node, nullable: bool) -> int:
        if node not in self._numbers:
            self._work.spend(1)
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self._nullable.append(nullable)
        return self._numbers[node]
