"""Metadata by key, with its type checked.

Knows how to ask for a value and how to say that it is not what it should be. Refuses to know which
keys there are (`summary.py`, `layers.py`).
"""

from __future__ import annotations

from bundler.errors import MalformedGGUF
from bundler.gguf.header import GGUF, ArrayValue, Value, ValueType

_UINT32_MAX = (1 << 32) - 1  # llama.cpp keeps hyperparameters as uint32_t


class Fields:
    """A GGUF's metadata. Keys are written as in the format's documentation: `[llm].context_length`
    stands for the key that begins with the architecture's name.

    Every method returns None when there is no such key, and raises MalformedGGUF, naming the key and
    what was expected, when the value is of another type or out of range.
    """

    def __init__(self, gguf: GGUF) -> None:
        self._gguf = gguf
        architecture = self.text("general.architecture")
        if not architecture:
            raise MalformedGGUF(gguf.path, "it does not say its architecture (general.architecture)")
        self.architecture = architecture

    def text(self, key: str) -> str | None:
        value = self._get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._unexpected(key, value, "text")

    def number(self, key: str, *, least: int = 0) -> int | None:
        """A whole number from `least` to 2³² - 1."""
        value = self._get(key)
        return None if value is None else self._number(key, value, least)

    def flag(self, key: str) -> bool | None:
        value = self._get(key)
        if value is None or isinstance(value, bool):
            return value
        raise self._unexpected(key, value, "true or false")

    def length(self, key: str, element: ValueType) -> int | None:
        """The length of an array of `element`."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, ArrayValue) and value.type is element:
            return value.length
        raise self._unexpected(key, value, f"an array of {element.name}")

    def numbers(self, key: str, count: int) -> tuple[int, ...] | None:
        """`count` whole numbers from 0 to 2³² - 1: an array of that many, or one that stands for all."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, ArrayValue):
            return (self._number(key, value, 0),) * count
        if value.length != count or value.values is None:
            raise self._unexpected(key, value, f"a whole number, or one for each of {count} layers")
        return tuple(self._number(key, element, 0) for element in value.values)

    def flags(self, key: str) -> tuple[bool, ...] | int | None:
        """An array of true and false (or 1 and 0), or one whole number."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, ArrayValue):
            return self._number(key, value, 0)
        if value.values is None or value.type in (ValueType.STRING, ValueType.FLOAT32, ValueType.FLOAT64):
            raise self._unexpected(key, value, "a whole number, or true or false for each layer")
        return tuple(bool(element) for element in value.values)

    def keys_below(self, prefix: str) -> int:
        """How many keys begin with `prefix`."""
        return sum(key.startswith(prefix) for key in self._gguf.metadata)

    def _get(self, key: str) -> Value | None:
        return self._gguf.metadata.get(self._full(key))

    def _full(self, key: str) -> str:
        return key.replace("[llm]", self.architecture, 1) if key.startswith("[llm].") else key

    def _number(self, key: str, value: Value, least: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _UINT32_MAX:
            return value
        raise self._unexpected(key, value, f"a whole number from {least} to {_UINT32_MAX}")

    def _unexpected(self, key: str, value: Value, expected: str) -> MalformedGGUF:
        shown = repr(value)
        if isinstance(value, ArrayValue):
            shown = f"an array of {value.length:,} × {value.type.name}"
        elif len(shown) > 60:
            shown = f"{shown[:60]}…"
        return MalformedGGUF(self._gguf.path, f"metadata key {self._full(key)!r} is {shown}; expected {expected}")
