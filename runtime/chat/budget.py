"""How much a template may do: steps and characters are counted, and there is an end to them.

A template is a program that came with the weights. Nothing interrupts one that has begun to loop, or to double a text,
so everything that takes time or memory is paid for before it is done. Knows sizes; refuses to know Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_MOST_BITS = 4_096
"""Of an integer: arithmetic on longer ones takes long by itself."""

_WIDE = re.compile(r"\d{5,}|%[^a-zA-Z%]*\*|:[^}]*\{")
"""Widths and precisions that would pad a text beyond measure, or that come from elsewhere (printf's `*`, `{:{}}`)."""

_VISIT = 20
"""What it costs to look at a value, besides its size."""

_CONTAINERS = (list, tuple, set, frozenset, dict)


class TooMuchWork(Exception):
    """The budget is spent, or one operation would be beyond any."""


class Budget:
    """`left` units: a character, an element, or about 50 ns of work each. Methods raise `TooMuchWork`."""

    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise TooMuchWork("it loops for too long, or makes too much of a text")

    def see(self, value: Any) -> None:
        """Pay for going through `value` and all that is in it, as often as it is in there."""
        todo: list[Any] = [value]
        while todo:
            value = todo.pop()
            self.spend(size(value) + _VISIT)
            if isinstance(value, dict):
                todo += [*value.keys(), *value.values()]
            elif isinstance(value, _CONTAINERS):
                todo += value

    def operate(self, operator: str, left: Any, right: Any) -> None:
        """Pay for `left operator right`."""
        if operator == "%" and isinstance(left, str):
            self.format(left, right)
        elif isinstance(left, int) and isinstance(right, int):
            self._calculate(operator, left, right)
        elif operator == "*":
            many, times = (right, left) if isinstance(left, int) else (left, right)
            self.spend(1 + size(many) * max(times, 0) if isinstance(times, int) else 1)
        else:
            self.spend(size(left) + size(right) + 1)

    def format(self, pattern: str, values: Any) -> None:
        """Pay for filling `values` into a pattern of `%` or `str.format`."""
        if _WIDE.search(pattern):
            raise TooMuchWork(f"the width in {pattern[:40]!r} is too large, or not known")
        self.see(pattern)
        self.see(values)

    def apply(self, name: str, value: Any, arguments: Iterable[Any]) -> None:
        """Pay for a method or a filter that makes a new text or list out of `value`."""
        arguments = list(arguments)
        self.see(value)
        for argument in arguments:
            self.see(argument)
            if isinstance(argument, int):  # it may be a width or a count
                self.spend(abs(argument) * (size(value) + 1 if name in ("indent", "expandtabs") else 1))
        if name == "replace" and isinstance(value, str) and len(arguments) >= 2:
            old, new = arguments[:2]
            times = value.count(old) if isinstance(old, str) else 0
            self.spend(times * size(new))
        elif name in ("wordwrap", "urlize"):
            self.spend((size(value) + 1) * sum(map(size, arguments)))
        elif name == "sum":
            self.spend(size(value) ** 2 if any(isinstance(argument, _CONTAINERS) for argument in arguments) else 1)
        elif name == "join":
            items, separator = (arguments[0], value) if isinstance(value, str) and arguments else (value, arguments)
            self.spend((size(items) + 1) * sum(size(one) + 1 for one in (separator, *arguments)))
        elif name == "tojson":
            self.spend(size(value) * sum(argument for argument in arguments if isinstance(argument, int)))

    def _calculate(self, operator: str, left: int, right: int) -> None:
        self.spend(1)
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _MOST_BITS:
            raise TooMuchWork("a number is too large")


def size(value: Any) -> int:
    """Characters of a text, elements of what has them."""
    return len(value) if isinstance(value, (str, bytes, range, *_CONTAINERS)) else 0
