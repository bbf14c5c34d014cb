"""Writes GGUFs of any size that llama.cpp loads: the shape of a Llama, a real vocabulary, noise for weights.

Knows the format as its documentation has it. The vocabulary is copied, byte for byte, from another GGUF.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bundler.gguf.header import ArrayValue, align
from bundler.gguf.reader import read_gguf

_F32, _F16 = 0, 1
_UINT32, _FLOAT32, _STRING = 4, 6, 8
_ALIGNMENT = 32
_MOSTLY_F16 = 1  # general.file_type
_NOISE_VALUES = 524_287  # a prime, so that no two rows of a matrix begin at the same place in the noise
_WRITE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama's dimensions; those of an 8B by default, with as many layers as the size asks for."""

    layers: int
    width: int = 4096
    hidden: int = 14336
    heads: int = 32
    kv_heads: int = 8

    def tensors(self, vocabulary_size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and dimensions, the fastest first. Those of one dimension are F32, the others F16."""
        width, hidden, kv_width = self.width, self.hidden, self.width // self.heads * self.kv_heads
        yield "token_embd.weight", (width, vocabulary_size)
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm.weight", (width,)
            yield f"blk.{layer}.attn_q.weight", (width, width)
            yield f"blk.{layer}.attn_k.weight", (width, kv_width)
            yield f"blk.{layer}.attn_v.weight", (width, kv_width)
            yield f"blk.{layer}.attn_output.weight", (width, width)
            yield f"blk.{layer}.ffn_norm.weight", (width,)
            yield f"blk.{layer}.ffn_gate.weight", (width, hidden)
            yield f"blk.{layer}.ffn_up.weight", (width, hidden)
            yield f"blk.{layer}.ffn_down.weight", (hidden, width)
        yield "output_norm.weight", (width,)


def write_llama(path: Path, size: int, vocabulary: Path) -> int:
    """Writes a model of `size` bytes, or at most a layer more, to `path`; returns its size.

    `vocabulary` is the GGUF whose tokenizer it gets.
    """
    keys, vocabulary_size = _tokenizer(vocabulary)
    one, two = (_data_size(Shape(layers), vocabulary_size) for layers in (1, 2))
    shape = Shape(max(1, math.ceil((size - one) / (two - one)) + 1))
    with path.open("wb") as file:
        _write_header(file, shape, keys, vocabulary_size)
        noise = _Noise()
        for _, dimensions in shape.tensors(vocabulary_size):
            file.write(bytes(-file.tell() % _ALIGNMENT))
            if len(dimensions) == 1:
                file.write(struct.pack("<f", 1.0) * dimensions[0])
            else:
                noise.write(file, _size(dimensions))
        file.write(bytes(-file.tell() % _ALIGNMENT))
        return file.tell()


class _Noise:
    """Small random F16 values, one long run of them over and over: made quickly, and the same each time."""

    def __init__(self) -> None:
        generator = random.Random(0)
        once = bytearray(2 * _NOISE_VALUES)
        for offset in range(0, len(once), 2):
            struct.pack_into("<e", once, offset, generator.gauss(0, 0.02))
        self._run = once * 2  # a write may begin anywhere in it
        self._position = 0

    def write(self, file: BinaryIO, size: int) -> None:
        period = 2 * _NOISE_VALUES
        while size:
            piece = min(size, _WRITE_BYTES)
            file.write(memoryview(self._run)[self._position : self._position + piece])
            self._position = (self._position + piece) % period
            size -= piece


def _write_header(file: BinaryIO, shape: Shape, tokenizer: list[bytes], vocabulary_size: int) -> None:
    keys = [
        _text_key("general.architecture", "llama"),
        _text_key("general.name", "noise"),
        _number_key("general.file_type", _MOSTLY_F16),
        _number_key("llama.context_length", 4096),
        _number_key("llama.embedding_length", shape.width),
        _number_key("llama.block_count", shape.layers),
        _number_key("llama.feed_forward_length", shape.hidden),
        _number_key("llama.attention.head_count", shape.heads),
        _number_key("llama.attention.head_count_kv", shape.kv_heads),
        _number_key("llama.rope.dimension_count", shape.width // shape.heads),
        _string("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _FLOAT32, 1e-5),
        *tokenizer,
    ]
    tensors = list(shape.tensors(vocabulary_size))
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys))
    offset = 0
    for name, dimensions in tensors:
        kind = _F32 if len(dimensions) == 1 else _F16
        numbers = struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)
        file.write(_string(name) + numbers)
        offset = align(offset + _size(dimensions), _ALIGNMENT)


def _tokenizer(path: Path) -> tuple[list[bytes], int]:
    """The metadata entries of the tokenizer, as bytes, and the number of tokens."""
    gguf = read_gguf(path)
    content = path.read_bytes()
    entries = [
        content[entry.offset : entry.offset + entry.size]
        for entry in gguf.key_ranges
        if entry.key.startswith("tokenizer.")
    ]
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayValue)
    return entries, tokens.length


def _data_size(shape: Shape, vocabulary_size: int) -> int:
    return sum(align(_size(dimensions), _ALIGNMENT) for _, dimensions in shape.tensors(vocabulary_size))


def _size(dimensions: tuple[int, ...]) -> int:
    return math.prod(dimensions) * (4 if len(dimensions) == 1 else 2)


def _text_key(key: str, text: str) -> bytes:
    return _string(key) + struct.pack("<I", _STRING) + _string(text)


def _number_key(key: str, number: int) -> bytes:
    return _string(key) + struct.pack("<II", _UINT32, number)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
