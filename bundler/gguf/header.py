"""What a GGUF's header says, as plain values.

Knows the shape of the answer. Refuses to know how it was read (`reader.py`) and what it means for a
model (`summary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from bundler.gguf.types import GGMLType


class ValueType(IntEnum):
    """`enum gguf_type` of ggml/include/gguf.h: how a metadata value is stored."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """An array: the type of its elements, how many there are, and the elements when there are few.

    `values` is None for arrays of more than `metadata.MAX_KEPT_ELEMENTS` elements: of a vocabulary the
    length says enough.
    """

    type: ValueType
    length: int
    values: tuple[bool, ...] | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | None


Value = bool | int | float | str | ArrayValue


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Where a metadata entry (key, type and value) lies: bytes from the start of the GGUF."""

    key: str
    type: ValueType
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. `shape` is in ggml's order, the fastest dimension first; an absent one counts as 1.

    `offset` is in bytes from the start of the tensor data, `size` is in bytes.
    """

    name: str
    shape: tuple[int, ...]
    type: GGMLType
    offset: int
    size: int

    @property
    def element_count(self) -> int:
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count


@dataclass(frozen=True, slots=True)
class GGUF:
    """A GGUF's header. It occupies `size` bytes of `path` from `offset`.

    offset       where the GGUF starts in the file: 0, unless it lies inside a bundle
    size         bytes that belong to it, tensor data and any bytes after the last tensor included
    data_offset  where the tensor data starts, from the start of the file like `offset`
    alignment    bytes; each tensor's offset is a multiple of it
    metadata     by key, in the order of the file
    key_ranges   where each of them lies, in the same order
    tensors      in the order of their data
    """

    path: Path
    offset: int
    size: int
    version: int
    alignment: int
    metadata: Mapping[str, Value]
    key_ranges: tuple[KeyRange, ...]
    tensors: tuple[Tensor, ...]
    data_offset: int


def align(position: int, alignment: int) -> int:
    """The first multiple of `alignment` that is not below `position`."""
    return -(-position // alignment) * alignment
