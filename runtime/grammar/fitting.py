"""Whether a value that a schema lists (enum, const) fits what else the schema says of it.

Here objects are as open as JSON Schema has them: what is listed was meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from runtime.grammar.exact import exact, is_less, is_multiple
from runtime.grammar.regex import Patterns
from runtime.grammar.shapes import (
    ArrayLayer,
    Arrays,
    Key,
    Literals,
    NumberLayer,
    Numbers,
    ObjectLayer,
    Objects,
    Shape,
    StringLayer,
    Strings,
)
from runtime.grammar.work import Work

VALUE_STEPS = 5
"""What it takes to read a value, in steps of `Work`."""


class Fitting:
    """Checks values against the shapes that `shapes_of` gives for a key. Methods raise `Unsupported`."""

    def __init__(self, patterns: Patterns, work: Work, shapes_of: Callable[[Key], tuple[Shape, ...]]) -> None:
        self._patterns = patterns
        self._work = work
        self._shapes_of = shapes_of

    def those_that_fit(self, values: tuple[str, ...], shape: Shape) -> tuple[str, ...]:
        """Those of some values, in JSON, that fit `shape`."""
        self._work.spend(VALUE_STEPS * len(values))
        if isinstance(shape, Literals):
            self._work.spend(VALUE_STEPS * len(shape.values))
            listed = {identity(value) for value in shape.values}
            return tuple(value for value in values if identity(value) in listed)
        return tuple(value for value in values if self._fits(json.loads(value), shape))

    def fits_key(self, value: Any, key: Key) -> bool:
        """Whether a value fits all places of `key`."""
        return not key or any(self._fits(value, shape) for shape in self._shapes_of(key))

    def _fits(self, value: Any, shape: Shape) -> bool:
        if isinstance(shape, Literals):
            self._work.spend(VALUE_STEPS * len(shape.values))
            return _identity(value) in {identity(listed) for listed in shape.values}
        if isinstance(value, bool) or value is None:
            return False
        if isinstance(value, (int, float)):
            return isinstance(shape, Numbers) and all(_number_fits(value, layer) for layer in shape.layers)
        if isinstance(value, str):
            return isinstance(shape, Strings) and all(self._string_fits(value, layer) for layer in shape.layers)
        if isinstance(value, list):
            return isinstance(shape, Arrays) and all(self._array_fits(value, layer) for layer in shape.layers)
        return isinstance(shape, Objects) and all(self._object_fits(value, layer) for layer in shape.layers)

    def _string_fits(self, value: str, layer: StringLayer) -> bool:
        if not _is_count_within(len(value), layer.min_length, layer.max_length):
            return False
        return layer.pattern is None or self._patterns.matches(layer.pattern, value)

    def _array_fits(self, value: list[Any], layer: ArrayLayer) -> bool:
        keys = [*layer.prefix, *[layer.items or ()] * (len(value) - len(layer.prefix))]
        return _is_count_within(len(value), layer.min_items, layer.max_items) and all(
            self.fits_key(item, key) for item, key in zip(value, keys, strict=False)
        )

    def _object_fits(self, value: dict[str, Any], layer: ObjectLayer) -> bool:
        known = dict(layer.properties)
        return (
            _is_count_within(len(value), layer.min_properties, layer.max_properties)
            and all(name in value for name in layer.required)
            and all(self.fits_key(name, layer.names) for name in value)
            and all(self.fits_key(inner, self.key_of(name, layer, known)) for name, inner in value.items())
        )

    def key_of(self, name: str, layer: ObjectLayer, known: Mapping[str, Key]) -> Key:
        """The key of the property `name`, as far as `layer` goes. `known` are the layer's properties."""
        keys = [known[name]] if name in known else []
        keys += [key for pattern, key in layer.patterns if self._patterns.matches(pattern, name)]
        if not keys and layer.additional is not None:
            keys = [layer.additional]
        return tuple(dict.fromkeys(place for key in keys for place in key))


def identity(value: str) -> str:
    """A name for a value in JSON that equal values share: 1 and 1.0, and objects in any order."""
    return _identity(json.loads(value))


def _identity(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value


def _number_fits(value: int | float, layer: NumberLayer) -> bool:
    number = exact(value)
    if number is None or (layer.integer and number.places):
        return False
    if layer.low is not None and (is_less(number, layer.low) or (layer.low_exclusive and number == layer.low)):
        return False
    if layer.high is not None and (is_less(layer.high, number) or (layer.high_exclusive and number == layer.high)):
        return False
    return layer.step is None or is_multiple(number, layer.step)


def _is_count_within(count: int, low: int, high: int | None) -> bool:
    return low <= count and (high is None or count <= high)
