"""A header's metadata: keys, each with a typed value.

Knows how entries are stored. Refuses to know what any key means, except `general.alignment`, which
says how the rest of the file is laid out.

Keys are identifiers and must be valid UTF-8. Values need not be: vocabularies hold broken bytes on
purpose, and a model's name is only ever shown; bad bytes there become U+FFFD. Nothing is lost by it,
because merging copies entries as bytes (`KeyRange`).

Arrays of arrays are in the format, but llama.cpp refuses them, and so do we: no input can nest.
"""

from __future__ import annotations

import struct
from pathlib import Path

from bundler.errors import MalformedGGUF
from bundler.gguf.cursor import Cursor
from bundler.gguf.header import ArrayValue, KeyRange, Value, ValueType

DEFAULT_ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT
MAX_ALIGNMENT = 1 << 20  # ours: it bounds the padding that we write
MAX_KEY_SIZE = 65535  # bytes; the format's own limit
# Per-layer values have as many elements as the model has layers, 512 at most (LLAMA_MAX_LAYERS).
MAX_KEPT_ELEMENTS = 1024

_SCALARS = {
    ValueType.UINT8: struct.Struct("<B"),
    ValueType.INT8: struct.Struct("<b"),
    ValueType.UINT16: struct.Struct("<H"),
    ValueType.INT16: struct.Struct("<h"),
    ValueType.UINT32: struct.Struct("<I"),
    ValueType.INT32: struct.Struct("<i"),
    ValueType.FLOAT32: struct.Struct("<f"),
    ValueType.BOOL: struct.Struct("<?"),
    ValueType.UINT64: struct.Struct("<Q"),
    ValueType.INT64: struct.Struct("<q"),
    ValueType.FLOAT64: struct.Struct("<d"),
}


def read_metadata(cursor: Cursor, count: int, start: int) -> tuple[dict[str, Value], tuple[KeyRange, ...]]:
    """The next `count` entries, and where they lie: bytes from `start`, the start of the GGUF."""
    metadata: dict[str, Value] = {}
    ranges = []
    for number in range(1, count + 1):
        entry_start = cursor.position
        key = cursor.identifier(f"metadata key {number}", MAX_KEY_SIZE)
        if not key:
            raise MalformedGGUF(cursor.path, f"metadata key {number} is empty")
        if key in metadata:
            raise MalformedGGUF(cursor.path, f"metadata key {key!r} appears twice")
        value_type = _value_type(cursor, key)
        metadata[key] = _read_value(cursor, value_type, key)
        ranges.append(KeyRange(key, value_type, entry_start - start, cursor.position - entry_start))
    return metadata, tuple(ranges)


def data_alignment(path: Path, metadata: dict[str, Value], ranges: tuple[KeyRange, ...]) -> int:
    """What each tensor's offset is a multiple of, in bytes."""
    key = "general.alignment"
    alignment = metadata.get(key, DEFAULT_ALIGNMENT)
    stored_as = next((entry.type for entry in ranges if entry.key == key), ValueType.UINT32)
    if not isinstance(alignment, int) or stored_as is not ValueType.UINT32:
        raise MalformedGGUF(path, f"metadata key {key!r} is of type {stored_as.name}; expected UINT32")
    if alignment.bit_count() != 1 or alignment > MAX_ALIGNMENT:
        raise MalformedGGUF(
            path, f"metadata key {key!r} is {alignment:,}; expected a power of two up to {MAX_ALIGNMENT:,}"
        )
    return alignment


def _read_value(cursor: Cursor, value_type: ValueType, key: str) -> Value:
    what = f"the value of {key!r}"
    if value_type is ValueType.ARRAY:
        return _read_array(cursor, key)
    if value_type is ValueType.STRING:
        return _text(cursor.string(what))
    scalar = _SCALARS[value_type]
    value: bool | int | float = scalar.unpack(cursor.take(scalar.size, what))[0]
    return value


def _read_array(cursor: Cursor, key: str) -> ArrayValue:
    what = f"the array {key!r}"
    element = _value_type(cursor, key)
    length = cursor.u64(what)
    if element is ValueType.ARRAY:
        raise MalformedGGUF(cursor.path, f"metadata key {key!r} is an array of arrays, which llama.cpp cannot load")
    if element is ValueType.STRING:
        cursor.demand(8 * length, what)
        if length > MAX_KEPT_ELEMENTS:
            cursor.skip_strings(length, what)
            return ArrayValue(element, length, None)
        return ArrayValue(element, length, tuple(_text(cursor.string(what)) for _ in range(length)))
    scalar = _SCALARS[element]
    if length > MAX_KEPT_ELEMENTS:
        cursor.skip(scalar.size * length, what)
        return ArrayValue(element, length, None)
    data = cursor.take(scalar.size * length, what)
    return ArrayValue(element, length, tuple(value for (value,) in scalar.iter_unpack(data)))


def _value_type(cursor: Cursor, key: str) -> ValueType:
    number = cursor.u32(f"the type of {key!r}")
    try:
        return ValueType(number)
    except ValueError:
        raise MalformedGGUF(cursor.path, f"metadata key {key!r} has the unknown value type {number}") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
