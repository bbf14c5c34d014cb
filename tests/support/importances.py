"""Importance matrices in both of the formats that llama.cpp writes, from scratch, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from support.ggufs import STRING, Array, TensorSpec, gguf_bytes


@dataclass(frozen=True)
class Entry:
    """What is known of a tensor: `width` numbers for each expert, made of as many texts as `counts` say.

    Their means are 1, 2, 3, …, 1 more than that column's number; `last` takes the place of the last one.
    """

    name: str
    width: int
    counts: Sequence[float]
    last: float | None = None

    @property
    def sums(self) -> list[float]:
        sums = [(column + 1) * count for count in self.counts for column in range(self.width)]
        return sums if self.last is None else [*sums[:-1], self.last]


@dataclass(frozen=True)
class Floats(TensorSpec):
    """A tensor of numbers that are known."""

    values: Sequence[float] = ()

    @property
    def data(self) -> bytes:
        return struct.pack(f"<{len(self.values)}f", *self.values)


def legacy_matrix(entries: Sequence[Entry]) -> bytes:
    """As llama-imatrix wrote it until the middle of 2025: `imatrix.dat`."""
    parts = [struct.pack("<i", len(entries))]
    for entry in entries:
        name, sums = entry.name.encode(), entry.sums
        parts.append(struct.pack("<i", len(name)) + name + struct.pack("<ii", int(entry.counts[0]), len(sums)))
        parts.append(struct.pack(f"<{len(sums)}f", *sums))
    parts.append(struct.pack("<ii", 4, 5) + b"texts")
    return b"".join(parts)


def gguf_matrix(entries: Sequence[Entry]) -> bytes:
    """As it writes it since: `imatrix.gguf`."""
    metadata = {
        "general.type": "imatrix",
        "imatrix.datasets": Array(STRING, ["texts"]),
        "imatrix.chunk_count": 4,
        "imatrix.chunk_size": 512,
    }
    tensors: list[TensorSpec] = []
    for entry in entries:
        experts = len(entry.counts)
        tensors.append(Floats(f"{entry.name}.in_sum2", (len(entry.sums) // experts, experts), values=entry.sums))
        tensors.append(Floats(f"{entry.name}.counts", (1, experts), values=entry.counts))
    return gguf_bytes(metadata, tensors)
