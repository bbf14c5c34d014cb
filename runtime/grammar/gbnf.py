"""Grammars in GBNF, llama.cpp's notation (grammars/README.md there): rules are collected, cleaned and written.

Three things of llama.cpp's parser and matcher (src/llama-grammar.cpp) shape what is written here:

- `x{m,n}` with n > 2,000 is read as `x{m,}`, and m > 2,000 is refused, so larger counts are taken apart. What is
  repeated is always a rule of its own, never a group: the rules inside a group count as many times as it is repeated.
- A rule that can begin with itself is refused, or worse, not noticed when something empty comes before it. So rules
  begin with a character, or lead to one through others, and only rules that are never empty are repeated.
- Every way in which a text can be read is followed at once and costs time with every token, so there should be few.

Knows nothing of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

import msgspec

from runtime.grammar.charset import Ranges
from runtime.grammar.work import Work


class Text(msgspec.Struct, frozen=True):
    """These characters, one after the other."""

    text: str


class Chars(msgspec.Struct, frozen=True):
    """One of these characters."""

    ranges: Ranges


class Ref(msgspec.Struct, frozen=True):
    """What the rule says."""

    rule: str


class Repeat(msgspec.Struct, frozen=True):
    """What the rule says, `low` to `high` times; None: any number of times."""

    rule: str
    low: int
    high: int | None


Symbol = Text | Chars | Ref | Repeat
Sequence = tuple[Symbol, ...]

_SHORT = {"\n": "n", "\r": "r", "\t": "t"}

_MAX_REPEAT = 1_000
"""Half of what llama.cpp takes (MAX_REPETITION_THRESHOLD)."""

_OPTION_STEPS = 8
"""What `x{0,n}` takes for each of n, in steps of `Work`, if an element takes one: llama.cpp makes a rule of it."""

_MAX_NAME = 40
"""Characters of a name that are kept for people to recognise it by."""


class Rules:
    """The rules of one grammar, in the order in which their names were asked for."""

    def __init__(self, work: Work) -> None:
        self._rules: dict[str, tuple[Sequence, ...]] = {}
        self._named: dict[tuple[Sequence, ...], str] = {}
        self._next_number: dict[str, int] = {}
        self._foreign: set[str] = set()
        self._work = work

    def reserve(self, base: str) -> str:
        """A name like `base` that no other rule has. Whoever reserves it defines it."""
        base = re.sub("[^a-z0-9]+", "-", base[:_MAX_NAME].lower()).strip("-") or "value"
        number = self._next_number.get(base, 1)
        while (name := base if number == 1 else f"{base}-{number}") in self._rules:
            number += 1
        self._next_number[base] = number + 1
        self._rules[name] = ()
        return name

    def define(self, name: str, alternatives: Iterable[Sequence]) -> None:
        """What `name` stands for; without any alternative, nothing fits it."""
        self._rules[name] = tuple(dict.fromkeys(alternatives))
        self._work.spend(1 + sum(_steps(symbol) for sequence in self._rules[name] for symbol in sequence))

    def rule(self, base: str, *alternatives: Sequence) -> str:
        """The name of a rule that says this; one that says the same already is used again."""
        if alternatives not in self._named:
            self._named[alternatives] = name = self.reserve(base)
            self.define(name, alternatives)
        return self._named[alternatives]

    def write_elsewhere(self, name: str) -> None:
        """`name`, which no rule has, is that of a rule that is added to what `write` gives."""
        self._rules[name] = ((),)
        self._foreign.add(name)

    def repeat(self, rule: str, low: int, high: int | None) -> Sequence:
        """`rule`, which is never empty, `low` to `high` times."""
        if high is None:
            return (*self._exactly(rule, low), Repeat(rule, 0, None))
        return (*self._exactly(rule, low), *self._at_most(rule, high - low))

    def unfit(self, names: Iterable[str]) -> set[str]:
        """Those of the rules that no text fits."""
        return set(names) - self._fitting()

    def write(self, root: str) -> str:
        """The grammar of what fits the rule `root`, one rule a line; "" if nothing fits it."""
        fitting = self._fitting()
        if root not in fitting:
            return ""
        written: dict[str, str] = {root: ""}
        todo = [root]
        while todo:
            name = todo.pop()
            sequences = [kept for one in self._rules[name] if (kept := _possible(one, fitting)) is not None]
            written[name] = " | ".join(dict.fromkeys(map(_write, sequences)))
            for used in (rule for sequence in sequences for rule in _rules_in(sequence)):
                if used not in written:
                    written[used] = ""
                    todo.append(used)
        ours = [name for name in self._rules if name in written and name not in self._foreign]
        return "".join(f"{name} ::= {written[name]}\n" for name in ours)

    def _exactly(self, rule: str, count: int) -> Sequence:
        if count <= _MAX_REPEAT:
            return (Repeat(rule, count, count),) if count else ()
        blocks, rest = divmod(count, _MAX_REPEAT)
        return (*self._exactly(self._block_of(rule), blocks), *self._exactly(rule, rest))

    def _at_most(self, rule: str, count: int) -> Sequence:
        if count <= _MAX_REPEAT:
            return (Repeat(rule, 0, count),) if count else ()
        blocks, rest = divmod(count, _MAX_REPEAT)
        block = self._block_of(rule)
        fewer = (*self._at_most(block, blocks - 1), *self._at_most(rule, _MAX_REPEAT - 1))
        full = (*self._exactly(block, blocks), *self._at_most(rule, rest))
        return (Ref(self.rule(f"{rule}-up-to-{count}", fewer, full)),)

    def _block_of(self, rule: str) -> str:
        return self.rule(f"{rule}-x-{_MAX_REPEAT}", (Repeat(rule, _MAX_REPEAT, _MAX_REPEAT),))

    def _fitting(self) -> set[str]:
        """The rules that some finite text fits: those with an alternative all of whose rules are such."""
        users: dict[str, list[list[str | int]]] = {}
        fitting: set[str] = set()
        todo = []
        for name, sequences in self._rules.items():
            for sequence in sequences:
                needed = set(_rules_in(sequence, only_needed=True))
                # the rule, and how many of those it needs are not known to fit yet
                waiting: list[str | int] = [name, len(needed)]
                for rule in needed:
                    users.setdefault(rule, []).append(waiting)
                if not needed:
                    todo.append(name)
        while todo:
            name = todo.pop()
            if name in fitting:
                continue
            fitting.add(name)
            for waiting in users.get(name, []):
                user, count = waiting
                waiting[1] = int(count) - 1
                if waiting[1] == 0:
                    todo.append(str(user))
        return fitting


def _steps(symbol: Symbol) -> int:
    if isinstance(symbol, Text):
        return len(symbol.text)
    if isinstance(symbol, Chars):
        return 2 * len(symbol.ranges)
    if isinstance(symbol, Repeat):
        return symbol.low + _OPTION_STEPS * (1 if symbol.high is None else symbol.high - symbol.low)
    return 1


def _rules_in(sequence: Sequence, *, only_needed: bool = False) -> list[str]:
    return [
        symbol.rule
        for symbol in sequence
        if isinstance(symbol, Ref) or (isinstance(symbol, Repeat) and (symbol.low > 0 or not only_needed))
    ]


def _possible(sequence: Sequence, fitting: set[str]) -> Sequence | None:
    """`sequence` without repetitions of what nothing fits; None where it has to come."""
    if any(rule not in fitting for rule in _rules_in(sequence, only_needed=True)):
        return None
    return tuple(symbol for symbol in sequence if not isinstance(symbol, Repeat) or symbol.rule in fitting)


def _write(sequence: Sequence) -> str:
    parts = []
    for kind, group in groupby(sequence, key=_all_but_text):
        symbols = list(group)
        if kind is None:
            text = "".join(symbol.text for symbol in symbols if isinstance(symbol, Text))
            parts.append('"' + "".join(_escaped(char, '"\\') for char in text) + '"')
        elif isinstance(kind, Repeat):
            parts += [f"{kind.rule}{_written_count(kind.low, kind.high)}"] * len(symbols)
        else:
            single = f"[{''.join(map(_written_range, kind.ranges))}]" if isinstance(kind, Chars) else kind.rule
            full, rest = divmod(len(symbols), _MAX_REPEAT)
            counts = [_MAX_REPEAT] * full + [rest] * (rest > 0)
            parts += [f"{single}{_written_count(count, count)}" for count in counts]
    return " ".join(parts) or '""'


def _all_but_text(symbol: Symbol) -> Chars | Ref | Repeat | None:
    """What has to be equal for symbols to be written as one."""
    return None if isinstance(symbol, Text) else symbol


def _written_range(ends: tuple[int, int]) -> str:
    low, high = (_escaped(chr(end), "\\[]-^") for end in ends)
    return low if ends[0] == ends[1] else f"{low}{'-' if ends[1] > ends[0] + 1 else ''}{high}"


def _written_count(low: int, high: int | None) -> str:
    special = {(0, 1): "?", (0, None): "*", (1, None): "+", (1, 1): ""}
    if (low, high) in special:
        return special[low, high]
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"


def _escaped(char: str, special: str) -> str:
    """`char` in ASCII, and with an escape if it is one of those that are `special` where it stands."""
    point = ord(char)
    if char in _SHORT or (char in special and char != "^"):
        return f"\\{_SHORT.get(char, char)}"
    if 0x20 <= point < 0x7F and char not in special:
        return char
    return f"\\x{point:02X}" if point < 0x80 else f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
