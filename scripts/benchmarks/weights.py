"""Writes GGUFs of any size that llama.cpp loads: noise for weights, in the shape of a model that exists.

Knows the format as its documentation has it (ggml/docs/gguf.md), and the blocks of three quantizations. What tensors
there are is `shapes.py`'s to know, what tokens `vocabularies.py`'s.
"""

from __future__ import annotations

import math
import random
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from entries import number, text
from shapes import Llama, Shape, Tensor
from vocabularies import Vocabulary, copied

from bundler.gguf.header import align

_F32 = 0
_ALIGNMENT = 32
_NOISE_BLOCKS = 65_537  # a prime, so that no two of as many rows begin at the same place in the noise
_NOISE_VALUES = 524_287  # for the same reason
_WRITE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a matrix is stored: `type` is its `ggml_type`, `file_type` its `llama_ftype`.

    A block of `elements` takes `size` bytes. Of a single element it is a float; else a 16-bit float d, then
    integers to be multiplied by d. `data` are the bytes that those may be made of: such that their mean is 0, and
    their standard deviation `unit`.
    """

    type: int
    file_type: int
    elements: int
    size: int
    data: bytes = b""
    unit: float = 1.0

    def bytes_of(self, shape: tuple[int, ...]) -> int:
        """What a tensor takes; one of a single dimension is F32 in every file."""
        return 4 * shape[0] if len(shape) == 1 else math.prod(shape) // self.elements * self.size

    def noise(self, deviation: float) -> bytes:
        """Blocks of random values around 0, the same each time."""
        generator = random.Random(0)
        if self.elements == 1:
            form = "<e" if self.size == 2 else "<f"
            return b"".join(struct.pack(form, generator.gauss(0, deviation)) for _ in range(_NOISE_VALUES))
        scale = struct.pack("<e", deviation / self.unit)
        return b"".join(scale + bytes(generator.choices(self.data, k=self.size - 2)) for _ in range(_NOISE_BLOCKS))


F32 = Quantization(type=_F32, file_type=0, elements=1, size=4)
F16 = Quantization(type=1, file_type=1, elements=1, size=2)
# A byte is an integer from -127 to 127, or two from -7 to 7, to each of which 8 is added.
Q8_0 = Quantization(type=8, file_type=7, elements=32, size=34, data=bytes({*range(256)} - {128}), unit=73.6)
Q4_0 = Quantization(
    type=2,
    file_type=2,
    elements=32,
    size=18,
    data=bytes(low | high << 4 for low in range(1, 16) for high in range(1, 16)),
    unit=4.32,
)


def write_llama(path: Path, size: int, vocabulary: Path) -> int:
    """Writes an F16 model of `size` bytes, or at most a layer more, to `path`; returns its size.

    The layers are those of an 8B, as many as the size asks for. `vocabulary` is the GGUF whose tokenizer it gets.
    """
    tokens = copied(vocabulary)
    one, two = (_data_size(Llama(layers), tokens.size, F16) for layers in (1, 2))
    return write_noise(path, Llama(max(1, math.ceil((size - one) / (two - one)) + 1)), tokens, F16)


def write_noise(path: Path, shape: Shape, vocabulary: Vocabulary, quantization: Quantization) -> int:
    """Writes a model of noise to `path`; returns its size."""
    tensors = list(shape.tensors(vocabulary.size))
    with path.open("wb") as file:
        _write_header(file, shape, vocabulary, quantization, tensors)
        noise = _Noise(quantization)
        for tensor in tensors:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            if len(tensor.shape) == 1:
                file.write(struct.pack("<f", tensor.value) * tensor.shape[0])
            else:
                noise.write(file, tensor)
        file.write(bytes(-file.tell() % _ALIGNMENT))
        return file.tell()


def write_hollow(path: Path, shape: Shape, vocabulary: Vocabulary, quantization: Quantization) -> None:
    """Writes a model with a hole where the weights would be: a file of its full size that takes no room."""
    tensors = list(shape.tensors(vocabulary.size))
    with path.open("wb") as file:
        _write_header(file, shape, vocabulary, quantization, tensors)
        begin = align(file.tell(), _ALIGNMENT)
        file.truncate(begin + sum(align(quantization.bytes_of(tensor.shape), _ALIGNMENT) for tensor in tensors))


class _Noise:
    """One long run of noise for each deviation, over and over."""

    def __init__(self, quantization: Quantization) -> None:
        self._quantization = quantization
        self._runs: dict[float, memoryview] = {}
        self._position = 0  # in bytes, behind what was written last
        self._began: dict[str, int] = {}

    def write(self, file: BinaryIO, tensor: Tensor) -> None:
        """Writes noise that was not there before, or `tensor.rows_of` moved down by a row."""
        row = self._quantization.bytes_of((tensor.shape[0], 1))
        begin = self._position if tensor.rows_of is None else self._began[tensor.rows_of] - row
        self._began[tensor.name] = begin
        self._position = begin + self._quantization.bytes_of(tensor.shape)
        run = self._run(tensor.value)
        if tensor.mixed:
            for number in _mixed_rows(tensor.shape[1], tensor.mixed):
                self._copy(file, run, begin + number * row, row)
        else:
            self._copy(file, run, begin, self._position - begin)

    def _copy(self, file: BinaryIO, run: memoryview, begin: int, size: int) -> None:
        period, end = len(run) // 2, begin + size
        while begin < end:
            piece = min(end - begin, _WRITE_BYTES, period)
            file.write(run[begin % period : begin % period + piece])
            begin += piece

    def _run(self, deviation: float) -> memoryview:
        """Twice the noise, so that a piece may begin anywhere in the first."""
        if deviation not in self._runs:
            self._runs[deviation] = memoryview(self._quantization.noise(deviation) * 2)
        return self._runs[deviation]


def _mixed_rows(count: int, share: float) -> list[int]:
    """0 to `count`, of which a random `share` have each taken the place of the one before it among them."""
    chance = random.Random(0)
    rows = list(range(count))
    places = [row for row in rows if chance.random() < share]
    for place, row in zip(places, [*places[1:], *places[:1]], strict=True):
        rows[place] = row
    return rows


def _write_header(
    file: BinaryIO, shape: Shape, vocabulary: Vocabulary, quantization: Quantization, tensors: list[Tensor]
) -> None:
    keys = [
        text("general.architecture", shape.architecture),
        text("general.name", "noise"),
        number("general.file_type", quantization.file_type),
        *shape.keys(),
        *vocabulary.keys,
    ]
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys))
    offset = 0
    for tensor in tensors:
        kind = _F32 if len(tensor.shape) == 1 else quantization.type
        name = struct.pack("<Q", len(tensor.name)) + tensor.name.encode()
        n = len(tensor.shape)
        file.write(name + struct.pack(f"<I{n}QIQ", n, *tensor.shape, kind, offset))
        offset = align(offset + quantization.bytes_of(tensor.shape), _ALIGNMENT)


def _data_size(shape: Shape, vocabulary_size: int, quantization: Quantization) -> int:
    return sum(align(quantization.bytes_of(tensor.shape), _ALIGNMENT) for tensor in shape.tensors(vocabulary_size))
