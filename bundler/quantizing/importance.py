"""Importance matrices, as llama.cpp's `llama-imatrix` writes them: how much each column of a tensor matters.

There are two formats: GGUFs, and `.dat` files from before. Both hold sums of squares and how many they are of; what the
quantizer wants are means. Facts of the formats are from llama.cpp's common/imatrix-loader.cpp, of the means from
`load_imatrix` in tools/quantize/quantize.cpp.

Knows the numbers. Refuses to know what they are for.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from bundler.errors import ImportanceUnusable
from bundler.gguf import GGUF, Tensor, read_gguf
from bundler.gguf.reader import MAGIC

Sizes = Mapping[str, int]
"""Names of tensors, and how many numbers an importance matrix must have for each."""

_SUMS, _COUNTS = ".in_sum2", ".counts"
_F32 = "F32"
_MAX_NAME = 1024


def sizes_wanted(model: GGUF) -> Sizes:
    """A number for each column; of tensors that hold several experts' matrices, for each column of each."""
    return {
        tensor.name: tensor.shape[0] * (tensor.shape[2] if len(tensor.shape) > 2 else 1) for tensor in model.tensors
    }


def write_means(path: Path, wanted: Sizes, file: BinaryIO) -> tuple[tuple[str, int], ...]:
    """Write the means in the importance matrix `path` for tensors that are `wanted` into `file`, as 32-bit floats.

    Returns what is there: names, and how many numbers each has. Raises `ImportanceUnusable`, `GGUFError`, `OSError`.
    """
    written = []
    for name, means in _read(path):
        if name not in wanted:
            continue
        if len(means) != wanted[name]:
            raise ImportanceUnusable(
                path, f"it has {len(means):,} numbers for {name}, and the model's tensor asks for {wanted[name]:,}"
            )
        if not math.isfinite(sum(means)):
            raise ImportanceUnusable(path, f"what it has for {name} are no numbers")
        means.tofile(file)
        written.append((name, len(means)))
    if not written:
        raise ImportanceUnusable(path, "it has nothing for any tensor of the model")
    return tuple(written)


def _read(path: Path) -> Iterator[tuple[str, array[float]]]:
    with path.open("rb") as file:
        is_gguf = file.read(len(MAGIC)) == MAGIC
    return _read_gguf(path) if is_gguf else _read_legacy(path)


def _read_gguf(path: Path) -> Iterator[tuple[str, array[float]]]:
    gguf = read_gguf(path)
    tensors = {tensor.name: tensor for tensor in gguf.tensors}
    with path.open("rb") as file:
        for name, sums in tensors.items():
            if not name.endswith(_SUMS):
                continue
            stem = name.removesuffix(_SUMS)
            counts = tensors.get(stem + _COUNTS)
            if counts is None or {sums.type.name, counts.type.name} != {_F32}:
                raise ImportanceUnusable(path, f"what it has for {stem} is not as llama-imatrix writes it")
            if not counts.element_count or sums.element_count % counts.element_count:
                raise ImportanceUnusable(path, f"its counts for {stem} do not fit its sums")
            yield stem, _means(_floats(file, gguf, sums), _floats(file, gguf, counts))


def _floats(file: BinaryIO, gguf: GGUF, tensor: Tensor) -> array[float]:
    file.seek(gguf.data_offset + tensor.offset)
    return _array(file, tensor.element_count)


def _means(sums: array[float], counts: array[float]) -> array[float]:
    """Each count is of as many sums, one after another. What was never used matters like everything else."""
    width = len(sums) // len(counts)
    means = array("f")
    for number, count in enumerate(map(round, (count if math.isfinite(count) else 0 for count in counts))):
        part = sums[number * width : (number + 1) * width]
        means.extend((one / count for one in part) if count > 0 else [1.0] * width)
    return means


def _read_legacy(path: Path) -> Iterator[tuple[str, array[float]]]:
    """A count of entries; each: its name, how many calls its sums are of, and the sums. Numbers have 4 bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:

        def number(least: int, most: int) -> int:
            data = file.read(4)
            value = int.from_bytes(data, "little", signed=True)
            if len(data) < 4 or not least <= value <= most:
                raise ImportanceUnusable(path, "it is not as llama-imatrix writes one, or cut short")
            return value

        for _entry in range(number(1, size)):
            name = file.read(number(1, _MAX_NAME)).decode("utf-8", "replace")
            calls = number(-(2**31), 2**31)
            count = number(1, (size - file.tell()) // 4 - 1)
            sums = _array(file, count)
            yield name, array("f", (one / calls for one in sums)) if calls > 0 else sums


def _array(file: BinaryIO, count: int) -> array[float]:
    """As both formats have them: little-endian."""
    numbers = array("f")
    numbers.fromfile(file, count)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
