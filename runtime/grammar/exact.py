"""Decimal numbers without rounding: what `minimum: 0.1` says, not the nearest binary fraction.

Python's own `decimal` and `fractions` would do; importing them takes longer than anything done with them here.
"""

from __future__ import annotations

import math

import msgspec

_MAX_DIGITS = 400
"""More than the longest number that a binary64 can hold, written out (10**308)."""


class Exact(msgspec.Struct, frozen=True):
    """`units` / 10 ** `places`, with as few places as possible."""

    units: int
    places: int = 0

    def at(self, places: int) -> int:
        """The number times 10 ** `places`, which must not be fewer than its own."""
        return self.units * pow_of_10(places - self.places)

    def floor(self, places: int) -> int:
        """The largest integer that is not greater than the number times 10 ** `places`."""
        return self.at(places) if places >= self.places else self.units // 10 ** (self.places - places)

    def ceil(self, places: int) -> int:
        """The smallest integer that is not less than the number times 10 ** `places`."""
        return -Exact(-self.units, self.places).floor(places)


def exact(number: int | float) -> Exact | None:
    """The number as it was written; None if it is not finite, or has more digits than a number can reasonably have."""
    if isinstance(number, int):
        return Exact(number) if number.bit_length() < 3 * _MAX_DIGITS else None
    if not math.isfinite(number):
        return None
    digits, _, exponent = repr(number).partition("e")
    whole, _, fraction = digits.partition(".")
    places = len(fraction) - int(exponent or 0)
    units = int(whole + fraction)
    return Exact(units * 10**-places) if places < 0 else _reduced(units, places)


def pow_of_10(exponent: int) -> int:
    """10 ** `exponent`, which is not negative."""
    return int(10**exponent)


def is_less(a: Exact, b: Exact) -> bool:
    """Whether a < b."""
    places = max(a.places, b.places)
    return a.at(places) < b.at(places)


def is_multiple(number: Exact, step: Exact) -> bool:
    """Whether `number` is an integer times `step`, which is not 0."""
    places = max(number.places, step.places)
    return number.at(places) % step.at(places) == 0


def common_multiple(a: Exact, b: Exact) -> Exact:
    """The least number that is a multiple of both, which are not 0."""
    places = max(a.places, b.places)
    return _reduced(math.lcm(a.at(places), b.at(places)), places)


def _reduced(units: int, places: int) -> Exact:
    while places and units % 10 == 0:
        units, places = units // 10, places - 1
    return Exact(units, places)
