"""What a place in a schema allows, taken apart by type and ready to be combined.

A value fits a place if it fits one of its shapes. A typed shape is a list of layers, each with what one schema says
of that type; what is said in several places (allOf, $ref with neighbours) adds layers. What layers mean together is
decided where they are written as rules, not here.

The values inside of arrays and objects are named by keys. A key lists the places (JSON pointers) whose schemas all
apply; the empty key allows everything. So shapes stay finite when a schema refers to itself.
"""

from __future__ import annotations

import msgspec

from runtime.grammar.exact import Exact

Key = tuple[str, ...]


class NumberLayer(msgspec.Struct, frozen=True):
    """Bounds are part of the range unless they are said to be exclusive; `step` as multipleOf has it."""

    integer: bool = False
    low: Exact | None = None
    low_exclusive: bool = False
    high: Exact | None = None
    high_exclusive: bool = False
    step: Exact | None = None


class StringLayer(msgspec.Struct, frozen=True):
    """Lengths in code points; `pattern` is a regular expression, `place` where it stands."""

    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    place: str = ""


class ArrayLayer(msgspec.Struct, frozen=True):
    """The first elements have keys of their own; `items` is None where nothing is said of those behind them."""

    prefix: tuple[Key, ...] = ()
    items: Key | None = None
    min_items: int = 0
    max_items: int | None = None


class ObjectLayer(msgspec.Struct, frozen=True):
    """`declares`: properties were listed, be it none; `additional` is None where nothing is said of others.

    `patterns` are regular expressions for names; `names` is the key that all names fit, as strings.
    """

    declares: bool = False
    properties: tuple[tuple[str, Key], ...] = ()
    patterns: tuple[tuple[str, Key], ...] = ()
    additional: Key | None = None
    names: Key = ()
    required: tuple[str, ...] = ()
    min_properties: int = 0
    max_properties: int | None = None
    place: str = ""


class Literals(msgspec.Struct, frozen=True):
    """These values and no others, each as JSON."""

    values: tuple[str, ...]


class Numbers(msgspec.Struct, frozen=True):
    layers: tuple[NumberLayer, ...] = ()


class Strings(msgspec.Struct, frozen=True):
    layers: tuple[StringLayer, ...] = ()


class Arrays(msgspec.Struct, frozen=True):
    layers: tuple[ArrayLayer, ...] = ()


class Objects(msgspec.Struct, frozen=True):
    layers: tuple[ObjectLayer, ...] = ()


Shape = Literals | Numbers | Strings | Arrays | Objects
