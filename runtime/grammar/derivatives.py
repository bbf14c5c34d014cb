"""Which texts are in an expression, and its automaton.

The derivative of an expression by a character is an expression for what may follow that character. Expressions that
are reached from one by derivatives are the states of its automaton. So "both of these" and "not this" cost no more
than "one of these" (Brzozowski 1964; Owens, Reppy and Turon 2009, "Regular-expression derivatives re-examined").
The beginning of the text is left behind with the first character, and then nothing is there any more.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.grammar import charset
from runtime.grammar.automaton import Automaton, TooMuch, explore
from runtime.grammar.charset import Ranges
from runtime.grammar.expressions import AT_BEGIN, AT_BOTH, AT_END, INSIDE, Expressions
from runtime.grammar.work import Work

_DETERMINISTIC_STEPS = 100_000
"""What may be spent on a deterministic automaton, in steps of `Work`: that of `.{9}-.{9}` has 2**9 states."""

State = tuple[int, bool]
"""What may follow, and whether it is at the beginning of the text and that matters."""


class Derivatives:
    """Derivatives of a table's expressions."""

    def __init__(self, expressions: Expressions, work: Work) -> None:
        self._expressions = expressions
        self._nodes = expressions.nodes
        self._known: dict[tuple[int, int, int], int] = {}
        self._work = work

    def matches(self, part: int, text: str) -> bool:
        """Whether `text` is one of `part`."""
        for i, char in enumerate(text):
            part = self._derive(part, ord(char), INSIDE) if i else self._derive_first(part, ord(char))
        return bool(self._nodes[part].empty_at & (AT_END if text else AT_BOTH))

    def automaton(self, part: int) -> Automaton:
        """The automaton of the texts that are `part`; a deterministic one if it is not too large."""
        e = self._expressions
        text = e.both(part, e.repeat(e.chars(charset.UNICODE), 0, None))
        start = (text, self._nodes[text].has_begin)
        try:
            return explore(start, self._steps, self._accepts, self._work, _DETERMINISTIC_STEPS)
        except TooMuch:
            return explore(start, self._separate_steps, self._accepts, self._work)

    def _accepts(self, state: State) -> bool:
        part, at_begin = state
        return bool(self._nodes[part].empty_at & (AT_BOTH if at_begin else AT_END))

    def _steps(self, state: State) -> Iterable[tuple[Ranges, State]]:
        part, at_begin = state
        sets = self._first_sets(part)
        bounds = sorted({end for ranges in sets for low, high in ranges for end in (low, high + 1)})
        classes: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for i, low in enumerate(bounds[:-1]):
            members = tuple(n for n, ranges in enumerate(sets) if charset.contains(ranges, low))
            self._work.spend(len(sets))
            classes.setdefault(members, []).append((low, bounds[i + 1] - 1))
        # what is in no set is no character: all characters are in one of them
        classes.pop((), None)
        for ranges in classes.values():
            point = ranges[0][0]
            target = self._derive_first(part, point) if at_begin else self._derive(part, point, INSIDE)
            if target != self._expressions.nothing:
                yield charset.union(ranges), (target, False)

    def _separate_steps(self, state: State) -> Iterable[tuple[Ranges, State]]:
        """Like `_steps`, with a state for each way to go on: there are fewer of them than of their combinations."""
        for ranges, (part, at_begin) in self._steps(state):
            for way in self._ways(part):
                yield ranges, (way, at_begin)

    def _ways(self, part: int) -> list[int]:
        """Expressions that are `part` together."""
        e, node = self._expressions, self._nodes[part]
        if node.kind == "either":
            return [way for inner in node.parts for way in self._ways(inner)]
        if node.kind == "concat" and node.parts:
            return [e.concat(way, node.parts[1]) for way in self._ways(node.parts[0])]
        if node.kind == "both":
            ways = [e.anything]
            for inner in node.parts:
                ways = [e.both(way, other) for way in ways for other in self._ways(inner)]
            return ways
        return [part]

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
            elif node.kind == "concat" and node.parts:
                first, rest = node.parts
                todo.extend((first, rest) if self._nodes[first].empty_at else (first,))
            else:
                todo.extend(node.parts)
        return list(found)

    def _derive_first(self, part: int, point: int) -> int:
        return self._inside(self._derive(part, point, AT_BEGIN))

    def _derive(self, part: int, point: int, place: int) -> int:
        """What may follow the character `point`, which stands at `place`, at the beginning of `part`."""
        known = self._known.get((part, point, place))
        if known is not None:
            return known
        self._work.spend(1)
        e, node = self._expressions, self._nodes[part]
        if node.kind == "chars":
            result = e.empty if charset.contains(node.ranges, point) else e.nothing
        elif node.kind == "concat":
            result = self._derive_row(part, point, place)
        elif node.kind == "either":
            result = e.either(*(self._derive(inner, point, place) for inner in node.parts))
        elif node.kind == "both":
            result = e.both(*(self._derive(inner, point, place) for inner in node.parts))
        elif node.kind == "negate":
            result = e.negate(self._derive(node.parts[0], point, place))
        elif node.kind == "repeat":
            # where a turn may be empty, all that have to come may have been
            low = 0 if self._nodes[node.parts[0]].empty_at & place else max(node.low - 1, 0)
            rest = e.repeat(node.parts[0], low, None if node.high is None else node.high - 1)
            result = e.concat(self._derive(node.parts[0], point, place), rest)
        else:
            result = e.nothing
        self._known[part, point, place] = result
        return result

    def _derive_row(self, part: int, point: int, place: int) -> int:
        """A concatenation's derivative: by its first part, and by later ones while those before them may be empty."""
        e = self._expressions
        ways = []
        while self._nodes[part].kind == "concat" and part != e.empty:
            first, rest = self._nodes[part].parts
            ways.append(e.concat(self._derive(first, point, place), rest))
            if not self._nodes[first].empty_at & place:
                return e.either(*ways)
            part = rest
        return e.either(*ways, e.nothing if part == e.empty else self._derive(part, point, place))

    def _inside(self, part: int) -> int:
        """`part` where it can no longer be at the beginning of the text."""
        e, node = self._expressions, self._nodes[part]
        if not node.has_begin:
            return part
        if node.kind == "begin":
            return e.nothing
        if node.kind == "concat":
            row = []
            while self._nodes[part].has_begin and self._nodes[part].kind == "concat":
                first, part = self._nodes[part].parts
                row.append(self._inside(first))
            return e.concat(*row, self._inside(part))
        parts = [self._inside(inner) for inner in node.parts]
        if node.kind == "either":
            return e.either(*parts)
        if node.kind == "both":
            return e.both(*parts)
        return e.negate(parts[0]) if node.kind == "negate" else e.repeat(parts[0], node.low, node.high)
