"""What a Llama and a BERT are made of: their tensors and the keys that describe them.

Knows llama.cpp's names (src/llama-arch.cpp) and which tensors it asks for (src/models/llama.cpp, bert.cpp). Refuses
to know how they are stored.

A Llama that `counts` continues every text by the next token of its vocabulary: after token n comes n + 1. Its output
matrix holds the embeddings, each one row further down, and its layers add little to the embedding that they are given.
It computes as much as any other of its shape, and what it will say is known beforehand. One that `errs` says something
else after that share of the tokens: a draft model for one that counts, as right as the measurement wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from entries import number, real, switch

_EMBEDDING = 1.0
_LOGITS = 0.05
"""The last norm of a Llama that counts: token n + 1 is then the likely one, and not the only one."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Its name and dimensions, the fastest first.

    `value`: with one dimension, that of every element; otherwise the noise's standard deviation. `rows_of` another
    tensor, written before and of the same shape, are what it holds, each one row further down; but for a share of
    `mixed`, which change places.
    """

    name: str
    shape: tuple[int, ...]
    value: float
    rows_of: str | None = None
    mixed: float = 0.0


class Shape(Protocol):
    """A model without its numbers."""

    @property
    def architecture(self) -> str: ...
    def keys(self) -> list[bytes]: ...
    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]: ...


@dataclass(frozen=True, slots=True)
class Llama:
    """A Llama's dimensions; those of an 8B by default."""

    layers: int
    width: int = 4096
    hidden: int = 14336
    heads: int = 32
    kv_heads: int = 8
    context: int = 4096
    counts: bool = False
    errs: float = 0.0

    @property
    def architecture(self) -> str:
        return "llama"

    def keys(self) -> list[bytes]:
        return [
            number("llama.context_length", self.context),
            number("llama.embedding_length", self.width),
            number("llama.block_count", self.layers),
            number("llama.feed_forward_length", self.hidden),
            number("llama.attention.head_count", self.heads),
            number("llama.attention.head_count_kv", self.kv_heads),
            number("llama.rope.dimension_count", self.width // self.heads),
            real("llama.attention.layer_norm_rms_epsilon", 1e-5),
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:
        width, hidden, kv_width = self.width, self.hidden, self.width // self.heads * self.kv_heads
        small = _small(hidden)
        yield Tensor("token_embd.weight", (width, vocabulary_size), _EMBEDDING)
        if self.counts:
            yield Tensor("output.weight", (width, vocabulary_size), _EMBEDDING, "token_embd.weight", self.errs)
        for layer in range(self.layers):
            block = f"blk.{layer}"
            yield Tensor(f"{block}.attn_norm.weight", (width,), 1)
            yield Tensor(f"{block}.attn_q.weight", (width, width), small)
            yield Tensor(f"{block}.attn_k.weight", (width, kv_width), small)
            yield Tensor(f"{block}.attn_v.weight", (width, kv_width), small)
            yield Tensor(f"{block}.attn_output.weight", (width, width), small)
            yield Tensor(f"{block}.ffn_norm.weight", (width,), 1)
            yield Tensor(f"{block}.ffn_gate.weight", (width, hidden), small)
            yield Tensor(f"{block}.ffn_up.weight", (width, hidden), small)
            yield Tensor(f"{block}.ffn_down.weight", (hidden, width), small)
        yield Tensor("output_norm.weight", (width,), _LOGITS if self.counts else 1)


@dataclass(frozen=True, slots=True)
class Bert:
    """A BERT's dimensions; those of MiniLM-L12 and bge-small by default: 33 million parameters."""

    layers: int = 12
    width: int = 384
    hidden: int = 1536
    heads: int = 12
    context: int = 512

    @property
    def architecture(self) -> str:
        return "bert"

    def keys(self) -> list[bytes]:
        return [
            number("bert.context_length", self.context),
            number("bert.embedding_length", self.width),
            number("bert.block_count", self.layers),
            number("bert.feed_forward_length", self.hidden),
            number("bert.attention.head_count", self.heads),
            real("bert.attention.layer_norm_epsilon", 1e-12),
            switch("bert.attention.causal", False),
            number("bert.pooling_type", 1),  # mean: LLAMA_POOLING_TYPE_MEAN
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:
        width, hidden, small = self.width, self.hidden, _small(self.hidden)
        yield Tensor("token_embd.weight", (width, vocabulary_size), _EMBEDDING)
        yield Tensor("position_embd.weight", (width, self.context), _EMBEDDING)
        yield from self._norm("token_embd_norm")
        for layer in range(self.layers):
            block = f"blk.{layer}"
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                yield from self._linear(f"{block}.{name}", width, width, small)
            yield from self._norm(f"{block}.attn_output_norm")
            yield from self._linear(f"{block}.ffn_up", width, hidden, small)
            yield from self._linear(f"{block}.ffn_down", hidden, width, small)
            yield from self._norm(f"{block}.layer_output_norm")

    def _linear(self, name: str, inputs: int, outputs: int, deviation: float) -> Iterator[Tensor]:
        yield Tensor(f"{name}.weight", (inputs, outputs), deviation)
        yield Tensor(f"{name}.bias", (outputs,), 0)

    def _norm(self, name: str) -> Iterator[Tensor]:
        yield Tensor(f"{name}.weight", (self.width,), 1)
        yield Tensor(f"{name}.bias", (self.width,), 0)


def _small(inputs: int) -> float:
    """A deviation with which a matrix of so many inputs, or fewer, makes its outputs at most half as large."""
    return float(0.5 / inputs**0.5)
