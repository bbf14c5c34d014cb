"""Metadata entries of a GGUF, as bytes: a key, a type, a value (ggml/docs/gguf.md).

Refuses to know which keys there are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bundler.gguf.header import ValueType


def text(key: str, value: str) -> bytes:
    """A string."""
    return _head(key, ValueType.STRING) + _string(value)


def number(key: str, value: int) -> bytes:
    """An unsigned number of 32 bits."""
    return _head(key, ValueType.UINT32) + struct.pack("<I", value)


def real(key: str, value: float) -> bytes:
    """A float of 32 bits."""
    return _head(key, ValueType.FLOAT32) + struct.pack("<f", value)


def switch(key: str, value: bool) -> bytes:
    """True or false."""
    return _head(key, ValueType.BOOL) + struct.pack("<?", value)


def texts(key: str, values: Sequence[str]) -> bytes:
    """An array of strings."""
    return _array(key, ValueType.STRING, len(values)) + b"".join(map(_string, values))


def numbers(key: str, values: Sequence[int]) -> bytes:
    """An array of signed numbers of 32 bits."""
    return _array(key, ValueType.INT32, len(values)) + struct.pack(f"<{len(values)}i", *values)


def reals(key: str, values: Sequence[float]) -> bytes:
    """An array of floats of 32 bits."""
    return _array(key, ValueType.FLOAT32, len(values)) + struct.pack(f"<{len(values)}f", *values)


def _head(key: str, kind: ValueType) -> bytes:
    return _string(key) + struct.pack("<I", kind)


def _array(key: str, kind: ValueType, length: int) -> bytes:
    return _head(key, ValueType.ARRAY) + struct.pack("<IQ", kind, length)


def _string(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data
