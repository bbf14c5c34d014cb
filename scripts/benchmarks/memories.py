"""What models are made of whose memory cannot be cut: the shapes of LFM2, Mamba and Gemma 2, small.

Knows llama.cpp's names and which tensors it asks for (src/models/lfm2.cpp, mamba.cpp, gemma2.cpp). They say nothing of
sense: what is measured with them is how much of a text they compute again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from entries import number, numbers, real
from shapes import Tensor

_WIDTH, _HIDDEN, _HEADS, _KV_HEADS, _KERNEL = 128, 256, 4, 2, 4
_STATE, _INNER, _STEP_RANK = 16, 2 * _WIDTH, 8
_CONTEXT = 8192
_SMALL = 0.03


@dataclass(frozen=True, slots=True)
class Windows:
    """Attention; in the first of its two layers a token sees the last `window`."""

    window: int = 512
    architecture: str = "gemma2"

    def keys(self) -> list[bytes]:
        return [
            *_sizes(self.architecture),
            number("gemma2.attention.head_count", _HEADS),
            number("gemma2.attention.head_count_kv", _KV_HEADS),
            number("gemma2.attention.sliding_window", self.window),
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:
        yield from _ends("output_norm", vocabulary_size)
        for block in ("blk.0", "blk.1"):
            yield from _attention(block)
            yield Tensor(f"{block}.post_attention_norm.weight", (_WIDTH,), 1)
            yield from _feed_forward(block)
            yield Tensor(f"{block}.post_ffw_norm.weight", (_WIDTH,), 1)


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A state for each text, and nothing else."""

    architecture: str = "mamba"

    def keys(self) -> list[bytes]:
        return [
            *_sizes(self.architecture),
            number("mamba.attention.head_count", 0),
            number("mamba.ssm.conv_kernel", _KERNEL),
            number("mamba.ssm.inner_size", _INNER),
            number("mamba.ssm.state_size", _STATE),
            number("mamba.ssm.time_step_rank", _STEP_RANK),
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:
        yield from _ends("output_norm", vocabulary_size)
        for block in ("blk.0", "blk.1"):
            yield Tensor(f"{block}.attn_norm.weight", (_WIDTH,), 1)
            yield Tensor(f"{block}.ssm_in.weight", (_WIDTH, 2 * _INNER), _SMALL)
            yield Tensor(f"{block}.ssm_conv1d.weight", (_KERNEL, _INNER), _SMALL)
            yield Tensor(f"{block}.ssm_conv1d.bias", (_INNER,), 0)
            yield Tensor(f"{block}.ssm_x.weight", (_INNER, _STEP_RANK + 2 * _STATE), _SMALL)
            yield Tensor(f"{block}.ssm_dt.weight", (_STEP_RANK, _INNER), _SMALL)
            yield Tensor(f"{block}.ssm_dt.bias", (_INNER,), -2)
            yield Tensor(f"{block}.ssm_a", (_STATE, _INNER), _SMALL)
            yield Tensor(f"{block}.ssm_d", (_INNER,), 1)
            yield Tensor(f"{block}.ssm_out.weight", (_INNER, _WIDTH), _SMALL)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """A state in the first layer, cells in the second."""

    architecture: str = "lfm2"

    def keys(self) -> list[bytes]:
        return [
            *_sizes(self.architecture),
            number("lfm2.attention.head_count", _HEADS),
            numbers("lfm2.attention.head_count_kv", [0, _KV_HEADS]),
            number("lfm2.shortconv.l_cache", _KERNEL),
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:
        yield from _ends("token_embd_norm", vocabulary_size)
        yield Tensor("blk.0.attn_norm.weight", (_WIDTH,), 1)
        yield Tensor("blk.0.shortconv.conv.weight", (_KERNEL, _WIDTH), _SMALL)
        yield Tensor("blk.0.shortconv.in_proj.weight", (_WIDTH, 3 * _WIDTH), _SMALL)
        yield Tensor("blk.0.shortconv.out_proj.weight", (_WIDTH, _WIDTH), _SMALL)
        yield from _feed_forward("blk.0")
        yield from _attention("blk.1")
        for name in ("attn_q_norm", "attn_k_norm"):
            yield Tensor(f"blk.1.{name}.weight", (_WIDTH // _HEADS,), 1)
        yield from _feed_forward("blk.1")


def _sizes(architecture: str) -> list[bytes]:
    return [
        number(f"{architecture}.context_length", _CONTEXT),
        number(f"{architecture}.embedding_length", _WIDTH),
        number(f"{architecture}.block_count", 2),
        number(f"{architecture}.feed_forward_length", _HIDDEN if architecture != "mamba" else 0),
        real(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5),
    ]


def _ends(last_norm: str, vocabulary_size: int) -> Iterator[Tensor]:
    yield Tensor("token_embd.weight", (_WIDTH, vocabulary_size), 1)
    yield Tensor(f"{last_norm}.weight", (_WIDTH,), 1)


def _attention(block: str) -> Iterator[Tensor]:
    kv_width = _WIDTH // _HEADS * _KV_HEADS
    yield Tensor(f"{block}.attn_norm.weight", (_WIDTH,), 1)
    for name, width in (("attn_q", _WIDTH), ("attn_k", kv_width), ("attn_v", kv_width), ("attn_output", _WIDTH)):
        yield Tensor(f"{block}.{name}.weight", (_WIDTH, width), _SMALL)


def _feed_forward(block: str) -> Iterator[Tensor]:
    yield Tensor(f"{block}.ffn_norm.weight", (_WIDTH,), 1)
    yield Tensor(f"{block}.ffn_gate.weight", (_WIDTH, _HIDDEN), _SMALL)
    yield Tensor(f"{block}.ffn_up.weight", (_WIDTH, _HIDDEN), _SMALL)
    yield Tensor(f"{block}.ffn_down.weight", (_HIDDEN, _WIDTH), _SMALL)
