"""Tiny projectors of random weights with which a model hears: what they make means nothing, but differs by sound.

Knows libmtmd's names of keys and tensors (tools/mtmd/clip-impl.h), and which of them it asks for (clip.cpp). Both
families have Whisper's encoder: half a minute of sound, or silence after it, is 1,500 places.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.ggufs import Meta, TensorSpec, write_gguf
from support.projectors import HEADS, HIDDEN, LAYERS, WIDTH, linear, llava_parts, noise, norm

_MEL_BINS, _PLACES, _KERNEL = 80, 1500, 3
_STACK = 20
_F16 = 1

CELLS_OF_HALF_A_MINUTE = _PLACES // _STACK
"""Of `ultravox`."""


def ultravox(path: Path, width: int) -> Path:
    """Ultravox's: 20 places at once become one cell."""
    return write_gguf(path, {**_keys("ultravox", width), "clip.projector_type": "ultravox"}, [*_of_ultravox(width)])


def qwen(path: Path, width: int) -> Path:
    """Qwen2-Audio's: two places become one cell, and texts stand around them."""
    return write_gguf(path, {**_keys("qwen2a", width), "clip.projector_type": "qwen2a"}, [*_of_qwen(width)])


def seeing_too(path: Path, width: int) -> Path:
    """LLaVA's for pictures and Ultravox's for sounds, in one file."""
    keys, tensors = llava_parts(width)
    keys = {**keys, **_keys("ultravox", width), "clip.vision.projector_type": "mlp"}
    keys.pop("clip.projector_type")
    return write_gguf(path, {**keys, "clip.audio.projector_type": "ultravox"}, [*tensors, *_of_ultravox(width)])


@dataclass(frozen=True)
class _Halves(TensorSpec):
    """Normally distributed values in F16, as libmtmd wants kernels."""

    deviation: float = 1.0

    @property
    def data(self) -> bytes:
        chance = random.Random(self.name)
        n = self.size // 2
        return struct.pack(f"<{n}e", *(chance.gauss(0, self.deviation) for _ in range(n)))


def _keys(family: str, width: int) -> dict[str, Meta]:
    keys: Mapping[str, Meta] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.has_audio_encoder": True,
        "clip.use_gelu": True,
        "clip.audio.num_mel_bins": _MEL_BINS,
        "clip.audio.embedding_length": WIDTH,
        "clip.audio.feed_forward_length": HIDDEN,
        "clip.audio.block_count": LAYERS,
        "clip.audio.projection_dim": width,
        "clip.audio.attention.head_count": HEADS,
        "clip.audio.attention.layer_norm_epsilon": 1e-5,
    }
    return {**keys, **({"clip.audio.projector.stack_factor": _STACK} if family == "ultravox" else {})}


def _of_ultravox(width: int) -> Iterator[TensorSpec]:
    yield from _encoder()
    yield noise("mm.a.norm_pre.weight", WIDTH * _STACK)
    yield noise("mm.a.mlp.1.weight", WIDTH * _STACK, 2 * HIDDEN, scale=(WIDTH * _STACK) ** -0.5)
    yield noise("mm.a.norm_mid.weight", HIDDEN)
    yield noise("mm.a.mlp.2.weight", HIDDEN, width, scale=HIDDEN**-0.5)


def _of_qwen(width: int) -> Iterator[TensorSpec]:
    yield from _encoder()
    yield from linear("mm.a.fc", WIDTH, width)


def _encoder() -> Iterator[TensorSpec]:
    for i, n_in in ((1, _MEL_BINS), (2, WIDTH)):
        scale = (_KERNEL * n_in) ** -0.5
        yield _Halves(f"a.conv1d.{i}.weight", (_KERNEL, n_in, WIDTH), _F16, (1, 2), scale)
        yield noise(f"a.conv1d.{i}.bias", 1, WIDTH, scale=0.1)
    yield noise("a.position_embd.weight", WIDTH, _PLACES, scale=0.3)
    yield from norm("a.post_ln")
    for i in range(LAYERS):
        for name in ("ln1", "ln2"):
            yield from norm(f"a.blk.{i}.{name}")
        yield noise(f"a.blk.{i}.attn_k.weight", WIDTH, WIDTH, scale=WIDTH**-0.5)
        for name in ("attn_q", "attn_v", "attn_out"):
            yield from linear(f"a.blk.{i}.{name}", WIDTH, WIDTH)
        yield from linear(f"a.blk.{i}.ffn_up", WIDTH, HIDDEN)
        yield from linear(f"a.blk.{i}.ffn_down", HIDDEN, WIDTH)
