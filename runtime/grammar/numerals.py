"""Numbers as rules: which numerals say a number within bounds.

A numeral is written without leading zeros, "-0" or exponent. What is not bounded ends after 16 digits, so that a model
that goes on and on comes to an end; the digits after the point too. Numbers of which nothing is said may have an
exponent, so small that they stay finite in a binary64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from functools import reduce

from runtime.grammar import charset
from runtime.grammar.automaton import Automaton, explore, rule_of
from runtime.grammar.charset import Ranges
from runtime.grammar.errors import Unsupported
from runtime.grammar.exact import Exact, common_multiple, pow_of_10
from runtime.grammar.gbnf import Chars, Ref, Repeat, Rules, Sequence, Text
from runtime.grammar.shapes import NumberLayer
from runtime.grammar.work import Work

_ZERO = ord("0")

_DIGITS = 16
"""Where a number that nothing bounds ends; llama.cpp's choice too."""

_EXACT_DIGITS = 15
"""Decimal numbers of so many digits stay apart in a binary64 (DBL_DIG)."""

_MOST_DIGITS = 40
"""Where numbers end even if a bound lies beyond, such as the largest binary64."""

_DIGIT = Chars(charset.of(("0", "9")))
_NOT_ZERO = Chars(charset.of(("1", "9")))
_UP_TO_8 = Chars(charset.of(("0", "8")))
_MINUS: Ranges = charset.of("-")
_POINT: Ranges = charset.of(".")

Spans = tuple[tuple[int, int, int], ...]
"""(k, low, high): k more digits may follow if they make a number from low to high. One span for each k."""

State = tuple[str, Spans, int]
"""What the last character was ("sign" before the first), how the number may go on, and its digits modulo the step."""


def number_rule(layers: Items[NumberLayer], rules: Rules, work: Work, base: str) -> str:
    """A rule for a number that all of `layers` allow. Raises `Unsupported`."""
    integer = any(layer.integer for layer in layers)
    low, above_low = _tightest([(layer.low, layer.low_exclusive) for layer in layers], max)
    high, below_high = _tightest([(layer.high, layer.high_exclusive) for layer in layers], min)
    steps = [layer.step for layer in layers if layer.step is not None]
    if low is None and high is None and not steps:
        return _any_integer(rules) if integer else _any_number(rules)
    step = reduce(common_multiple, [Exact(1), *steps] if integer else steps) if integer or steps else None
    places = _fitting_places((low, above_low), (high, below_high)) if step is None else step.places
    if places > _MOST_DIGITS:
        raise Unsupported(f"numbers of more than {_MOST_DIGITS} digits after the point are not supported")
    least = -_open_end(high, places) if low is None else low.ceil(places) + (above_low and low.places <= places)
    most = _open_end(low, places) if high is None else high.floor(places) - (below_high and high.places <= places)
    limit = 10 ** (_MOST_DIGITS + places) - 1
    automaton = numerals(max(least, -limit), min(most, limit), places, step.at(places) if step else 1, work)
    return rule_of(automaton, rules, base, _written)


def numerals(low: int, high: int, places: int, step: int, work: Work) -> Automaton:
    """The numerals of n / 10 ** `places` for the multiples n of `step` from `low` to `high`."""
    negative, positive = _whole_spans(max(1, -high), -low, places), _whole_spans(max(0, low), high, places)

    def steps(state: State) -> Iterable[tuple[Ranges, State]]:
        part, spans, remainder = state
        is_behind = part in ("point", "fraction")
        if part == "sign":
            yield _MINUS, ("whole", negative, 0)
        open_spans = [span for span in spans if is_behind or span[0] > places]
        for digit, last in _alike(open_spans) if step == 1 else zip(range(10), range(10), strict=True):
            work.spend(len(spans))
            later = tuple(_after_digit(digit, span) for span in open_spans)
            if left := tuple(span for span in later if span[1] <= span[2]):
                now = "fraction" if is_behind else "whole"
                yield ((_ZERO + digit, _ZERO + last),), (now, left, (10 * remainder + digit) % step)
        if part == "whole" and places:
            yield _POINT, ("point", tuple(span for span in spans if span[0] == places), remainder)

    def accepts(state: State) -> bool:
        part, spans, remainder = state
        zeros = [left for left, least, _ in spans if least == 0 and (part == "fraction" or left == places)]
        return part in ("whole", "fraction") and any(remainder * 10**left % step == 0 for left in zeros)

    return explore(("sign", positive, 0), steps, accepts, work)


def _whole_spans(low: int, high: int, places: int) -> Spans:
    """The spans before the first digit of a number from `low` to `high`, which are not negative."""
    spans = []
    for digits in range(1, max(len(str(max(high, 0))) - places, 1) + 1):
        least = 0 if digits == 1 else 10 ** (digits + places - 1)
        span = (digits + places, max(low, least), min(high, 10 ** (digits + places) - 1))
        spans += [span] if span[1] <= span[2] else []
    return tuple(spans)


def _alike(spans: Items[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The digits from 0 to 9, in ranges after which a number can go on in the same ways."""
    starts = {0}
    for left, low, high in spans:
        size = 10 ** (left - 1)
        starts |= {low // size, low // size + 1, high // size, high // size + 1}
    ordered = sorted(start for start in starts if start < 10)
    return list(zip(ordered, [*(start - 1 for start in ordered[1:]), 9], strict=True))


def _after_digit(digit: int, span: tuple[int, int, int]) -> tuple[int, int, int]:
    left, low, high = span[0] - 1, span[1], span[2]
    size = 10**left
    return left, max(low - digit * size, 0), min(high - digit * size, size - 1)


def _tightest(
    bounds: Items[tuple[Exact | None, bool]], best: Callable[..., tuple[Exact, bool]]
) -> tuple[Exact | None, bool]:
    """The one of some lower or upper bounds that leaves the least; of equal ones, the exclusive one."""
    given = [(bound, exclusive) for bound, exclusive in bounds if bound is not None]
    places = max((bound.places for bound, _ in given), default=0)
    sign = 1 if best is max else -1
    return best(given, key=lambda one: (one[0].at(places), sign * one[1]), default=(None, False))


def _fitting_places(*bounds: tuple[Exact | None, bool]) -> int:
    """How many digits to allow after the point: no more than keeps a number apart from a bound that is exclusive."""
    places = _EXACT_DIGITS
    for bound, exclusive in bounds:
        if bound is not None and exclusive and bound.units:
            places = min(places, _EXACT_DIGITS - len(str(abs(bound.units) // 10**bound.places)))
    return max([places, *(bound.places for bound, _ in bounds if bound is not None)])


def _open_end(other: Exact | None, places: int) -> int:
    """How far numbers go, times 10 ** `places`, where there is no bound, and `other` is the bound on the other side."""
    digits = _DIGITS if other is None else max(_DIGITS, len(str(abs(other.units) // 10**other.places)))
    return pow_of_10(digits + places) - 1


def _written(ranges: Ranges) -> Sequence:
    only = charset.only_member(ranges)
    return (Text(chr(only)) if only is not None else Chars(ranges),)


def _any_integer(rules: Rules) -> str:
    return rules.rule(
        "integer", (Text("0"),), (Ref(_optional_minus(rules)), _NOT_ZERO, Repeat(_digit(rules), 0, _DIGITS - 1))
    )


def _any_number(rules: Rules) -> str:
    digit, sign = _digit(rules), _optional_minus(rules)
    whole = rules.rule("whole", (Text("0"),), (_NOT_ZERO, Repeat(digit, 0, _DIGITS - 1)))
    fraction = rules.rule("fraction", (Text("."), Repeat(digit, 1, _DIGITS)))
    power = rules.rule("power", (Repeat(digit, 1, 2),), (Text("1"), _DIGIT, _DIGIT), (Text("2"), _UP_TO_8, _DIGIT))
    signs = rules.rule("signs", (Chars(charset.of("+-")),))
    exponent = rules.rule("exponent", (Chars(charset.of("eE")), Repeat(signs, 0, 1), Ref(power)))
    return rules.rule("number", (Ref(sign), Ref(whole), Repeat(fraction, 0, 1), Repeat(exponent, 0, 1)))


def _digit(rules: Rules) -> str:
    return rules.rule("digit", (_DIGIT,))


def _optional_minus(rules: Rules) -> str:
    return rules.rule("minus", (Text("-"),), ())
