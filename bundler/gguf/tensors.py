"""A header's tensor list.

Knows how tensors are described and where llama.cpp expects their data. Refuses to know their roles.
"""

from __future__ import annotations

import math

from bundler.errors import MalformedGGUF, UnsupportedGGUF
from bundler.gguf.cursor import Cursor
from bundler.gguf.header import Tensor, align
from bundler.gguf.types import GGML_TYPES, REMOVED_TYPES, GGMLType

MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
MAX_NAME_SIZE = 63  # bytes; GGML_MAX_NAME less the terminating zero
_INT64_MAX = (1 << 63) - 1


def read_tensors(cursor: Cursor, count: int, alignment: int) -> tuple[Tensor, ...]:
    """The next `count` tensors, whose data must follow in the same order.

    llama.cpp wants each tensor at the first aligned byte after the one before it, so that none are
    out of order, overlap, or leave a gap: any other offset raises MalformedGGUF.
    """
    tensors = []
    names = set()
    expected_offset = 0
    for number in range(1, count + 1):
        tensor = _read_tensor(cursor, number)
        if tensor.name in names:
            raise MalformedGGUF(cursor.path, f"tensor {tensor.name!r} appears twice")
        if tensor.offset != expected_offset:
            raise MalformedGGUF(
                cursor.path,
                f"tensor {tensor.name!r} lies at byte {tensor.offset:,} of the tensor data; "
                f"expected {expected_offset:,}, right after the tensor before it",
            )
        names.add(tensor.name)
        expected_offset = align(tensor.offset + tensor.size, alignment)
        tensors.append(tensor)
    return tuple(tensors)


def _read_tensor(cursor: Cursor, number: int) -> Tensor:
    name = cursor.identifier(f"the name of tensor {number}", MAX_NAME_SIZE)
    what = f"tensor {name!r}"
    dimension_count = cursor.u32(what)
    if dimension_count > MAX_DIMENSIONS:
        raise MalformedGGUF(
            cursor.path, f"{what} has {dimension_count:,} dimensions; at most {MAX_DIMENSIONS} are possible"
        )
    shape = tuple(cursor.u64(what) for _ in range(dimension_count))
    type_ = _tensor_type(cursor, what)
    offset = cursor.u64(what)
    row = shape[0] if shape else 1
    if row % type_.block_elements:
        raise MalformedGGUF(
            cursor.path,
            f"{what} has rows of {row:,} elements, not a multiple of {type_.name}'s {type_.block_elements}",
        )
    # An empty dimension must not hide that the product of the others overflows.
    if math.prod(max(1, dimension) for dimension in shape) > _INT64_MAX:
        raise MalformedGGUF(cursor.path, f"{what} has the impossible shape {list(shape)}")
    size = math.prod(shape) // type_.block_elements * type_.block_bytes
    return Tensor(name, shape, type_, offset, size)


def _tensor_type(cursor: Cursor, what: str) -> GGMLType:
    number = cursor.u32(what)
    if number in GGML_TYPES:
        return GGML_TYPES[number]
    if number in REMOVED_TYPES:
        name, successor = REMOVED_TYPES[number]
        raise UnsupportedGGUF(
            cursor.path,
            f"{what} is of the type {name}, which llama.cpp no longer reads",
            f"Download the model in {successor}: it is rearranged for the processor while it is loaded.",
        )
    raise UnsupportedGGUF(
        cursor.path,
        f"{what} is of the ggml type {number}, which is unknown, so its size cannot be told",
        "A newer version of loaf may know it.",
    )
