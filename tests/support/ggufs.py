"""Small GGUFs, written from scratch, for tests.

Knows the format as its documentation has it, and nothing of `bundler.gguf`: what the tests read was
not written by the code under test. Refuses nothing: it writes nonsense when asked to.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
_FORMATS = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?", None, None, "Q", "q", "d")))


@dataclass(frozen=True)
class Typed:
    """A value stored as one particular type: `Typed(10, 5)` is a 5 as UINT64."""

    type: int
    value: object


@dataclass(frozen=True)
class Array:
    """An array of elements of one type."""

    type: int
    values: Sequence[object]


Meta = bool | int | float | str | Typed | Array


@dataclass(frozen=True)
class TensorSpec:
    """A tensor: `type` is ggml's id, `block` its elements and bytes per block. The default is F32."""

    name: str
    shape: tuple[int, ...]
    type: int = 0
    block: tuple[int, int] = (1, 4)

    @property
    def size(self) -> int:
        elements = 1
        for dimension in self.shape:
            elements *= dimension
        return elements // self.block[0] * self.block[1]

    @property
    def data(self) -> bytes:
        """Bytes that tell one tensor from another."""
        pattern = self.name.encode() + b"|"
        return (pattern * (self.size // len(pattern) + 1))[: self.size]


LLAMA: Mapping[str, Meta] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 7,
    "llama.context_length": 4096,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 4,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": Array(STRING, ["<s>", "a", "\u00e9", "\U0001f600"]),
    "tokenizer.ggml.scores": Array(FLOAT32, [0.0, -1.0, -2.0, -3.0]),
    "tokenizer.chat_template": "{{ messages }}",
}
"""What a small model's header says."""

TENSORS = (
    TensorSpec("token_embd.weight", (64, 4)),
    TensorSpec("blk.0.attn_q.weight", (64, 3), 8, (32, 34)),
    TensorSpec("blk.1.attn_q.weight", (64,), 1, (1, 2)),
    TensorSpec("output_norm.weight", (5,)),
)


def write_gguf(
    path: Path,
    metadata: Mapping[str, Meta] = LLAMA,
    tensors: Sequence[TensorSpec] = TENSORS,
    *,
    version: int = 3,
    alignment: int = 32,
) -> Path:
    """Write a whole GGUF; an alignment other than 32 is stated in its metadata."""
    path.write_bytes(gguf_bytes(metadata, tensors, version=version, alignment=alignment))
    return path


def write_split(
    stem: Path,
    parts: Sequence[Sequence[TensorSpec]],
    metadata: Mapping[str, Meta] = LLAMA,
    *,
    alignment: int = 32,
) -> tuple[Path, ...]:
    """Write STEM-0000i-of-0000n.gguf for each of `parts`, as llama-gguf-split does."""
    paths = []
    total = sum(map(len, parts))
    for number, tensors in enumerate(parts):
        split = {
            "split.no": Typed(2, number),
            "split.count": Typed(2, len(parts)),
            "split.tensors.count": Typed(INT32, total),
        }
        path = stem.with_name(f"{stem.name}-{number + 1:05}-of-{len(parts):05}.gguf")
        entries = {**metadata, **split} if number == 0 else split
        paths.append(write_gguf(path, entries, tensors, alignment=alignment))
    return tuple(paths)


def gguf_bytes(
    metadata: Mapping[str, Meta] = LLAMA,
    tensors: Sequence[TensorSpec] = TENSORS,
    *,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    if alignment != 32:
        metadata = {**metadata, "general.alignment": alignment}
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    header += b"".join(string(key) + value(item) for key, item in metadata.items())
    data = b""
    for tensor in tensors:
        header += tensor_info(tensor.name, tensor.shape, tensor.type, len(data))
        data += tensor.data
        data += bytes(-len(data) % alignment)
    if tensors:
        header += bytes(-len(header) % alignment)
    return header + data


def with_metadata(source: Path, target: Path, more: Mapping[str, Meta]) -> Path:
    """Write the GGUF `source` to `target` with further metadata, of which it has none yet. Its alignment is 32."""
    whole = source.read_bytes()
    count = struct.unpack_from("<Q", whole, 16)[0]
    entries = b"".join(string(key) + value(item) for key, item in more.items())
    filler = string("test.filler") + value("")
    filler = string("test.filler") + value("x" * (-(len(entries) + len(filler)) % 32))  # so that tensors stay aligned
    target.write_bytes(whole[:16] + struct.pack("<Q", count + len(more) + 1) + entries + filler + whole[24:])
    return target


def tensor_info(name: str, shape: Sequence[int], type_: int, offset: int) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, type_, offset)


def value(item: Meta) -> bytes:
    """A value with its type before it."""
    if isinstance(item, Array):
        elements = b"".join(_raw(item.type, element) for element in item.values)
        return struct.pack("<IIQ", ARRAY, item.type, len(item.values)) + elements
    if isinstance(item, Typed):
        return struct.pack("<I", item.type) + _raw(item.type, item.value)
    if isinstance(item, bool):
        return value(Typed(BOOL, item))
    if isinstance(item, int):
        return value(Typed(UINT32, item))
    return value(Typed(FLOAT32 if isinstance(item, float) else STRING, item))


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def _raw(type_: int, item: object) -> bytes:
    if isinstance(item, str | bytes):
        return string(item)
    return struct.pack(f"<{_FORMATS[type_]}", item)
