"""Tiny projectors of random weights, for a model of any width: what they show means nothing, but differs by picture.

Knows libmtmd's names of keys and tensors (tools/mtmd/clip-impl.h), and which of them it asks for (clip.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.architectures import Noise
from support.ggufs import FLOAT32, Array, Meta, TensorSpec, write_gguf

_WIDTH, _HIDDEN, _HEADS, _LAYERS, _PATCH = 32, 64, 2, 2, 8


def llava(path: Path, width: int, *, side: int = 32) -> Path:
    """LLaVA's: an encoder of pictures `side` pixels square, and two layers to the model's `width`: causal."""
    return _written(path, "mlp", width, side, _of_llava(width))


def gemma(path: Path, width: int, *, side: int = 64) -> Path:
    """Gemma 3's: 4 x 4 patches become one cell, and all cells of a picture see each other."""
    return _written(path, "gemma3", width, side, _of_gemma(width))


def qwen(path: Path, width: int, *, side: int = 64) -> Path:
    """Qwen2-VL's: pictures of any shape, 2 x 2 patches a cell; as many positions as the longer side has cells."""
    return _written(path, "qwen2vl_merger", width, side, _of_qwen(width), fixed=False)


def idefics(path: Path, width: int, *, side: int = 32) -> Path:
    """Idefics 3's: a picture as it is and its tiles, each a piece of its own; 2 x 2 patches become one cell."""
    keys = {"clip.vision.projector.scale_factor": 2, "clip.vision.preproc_image_size": 2 * side}
    fc = _noise("mm.model.fc.weight", 4 * _WIDTH, width, scale=(4 * _WIDTH) ** -0.5)
    return _written(path, "idefics3", width, side, iter([fc]), keys)


def pixtral(path: Path, width: int, *, side: int = 64) -> Path:
    """Pixtral's: pictures of any shape, a cell for each patch and one more at each row's end; positions are turned."""
    keys = {"clip.use_gelu": False, "clip.use_silu": True}
    return _put(path, "pixtral", width, side, [*_gated_encoder(), *_of_pixtral(width)], keys)


def _written(
    path: Path,
    family: str,
    width: int,
    side: int,
    more: Iterator[TensorSpec],
    keys: Mapping[str, Meta] = {},
    *,
    fixed: bool = True,
) -> Path:
    patches = _patches((side // _PATCH) ** 2) if fixed else _patch_pairs()
    return _put(path, family, width, side, [*patches, *_encoder(), *more], keys)


def _put(
    path: Path, family: str, width: int, side: int, tensors: Sequence[TensorSpec], more: Mapping[str, Meta]
) -> Path:
    keys: Mapping[str, Meta] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.has_vision_encoder": True,
        "clip.projector_type": family,
        "clip.use_gelu": True,
        "clip.vision.image_size": side,
        "clip.vision.patch_size": _PATCH,
        "clip.vision.embedding_length": _WIDTH,
        "clip.vision.feed_forward_length": _HIDDEN,
        "clip.vision.block_count": _LAYERS,
        "clip.vision.projection_dim": width,
        "clip.vision.attention.head_count": _HEADS,
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": Array(FLOAT32, [0.5, 0.5, 0.5]),
        "clip.vision.image_std": Array(FLOAT32, [0.5, 0.5, 0.5]),
        **more,
    }
    return write_gguf(path, keys, tensors)


def _patches(n_patches: int) -> Iterator[TensorSpec]:
    """So many, each with a place of its own."""
    yield _noise("v.patch_embd.weight", _PATCH, _PATCH, 3, _WIDTH, scale=0.1)
    yield _noise("v.patch_embd.bias", _WIDTH)
    yield _noise("v.position_embd.weight", _WIDTH, n_patches, scale=0.3)
    yield from _norm("v.pre_ln")


def _patch_pairs() -> Iterator[TensorSpec]:
    """Of two frames of a film, which a picture is both of."""
    for name in ("weight", "weight.1"):
        yield _noise(f"v.patch_embd.{name}", _PATCH, _PATCH, 3, _WIDTH, scale=0.1)


def _encoder() -> Iterator[TensorSpec]:
    yield from _norm("v.post_ln")
    for i in range(_LAYERS):
        for name in ("ln1", "ln2"):
            yield from _norm(f"v.blk.{i}.{name}")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from _linear(f"v.blk.{i}.{name}", _WIDTH, _WIDTH)
        yield from _linear(f"v.blk.{i}.ffn_up", _WIDTH, _HIDDEN)
        yield from _linear(f"v.blk.{i}.ffn_down", _HIDDEN, _WIDTH)


def _gated_encoder() -> Iterator[TensorSpec]:
    """Without biases, and without places: those are in how queries and keys are turned."""
    yield _noise("v.patch_embd.weight", _PATCH, _PATCH, 3, _WIDTH, scale=0.1)
    yield _scale("v.pre_ln")
    for i in range(_LAYERS):
        for name in ("ln1", "ln2"):
            yield _scale(f"v.blk.{i}.{name}")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield _matrix(f"v.blk.{i}.{name}", _WIDTH, _WIDTH)
        yield _matrix(f"v.blk.{i}.ffn_gate", _WIDTH, _HIDDEN)
        yield _matrix(f"v.blk.{i}.ffn_up", _WIDTH, _HIDDEN)
        yield _matrix(f"v.blk.{i}.ffn_down", _HIDDEN, _WIDTH)


def _of_pixtral(width: int) -> Iterator[TensorSpec]:
    yield from _linear("mm.1", _WIDTH, width)
    yield from _linear("mm.2", width, width)
    yield _noise("v.token_embd.img_break", width, scale=0.3)


def _of_llava(width: int) -> Iterator[TensorSpec]:
    yield from _linear("mm.0", _WIDTH, width)
    yield from _linear("mm.2", width, width)


def _of_gemma(width: int) -> Iterator[TensorSpec]:
    yield _noise("mm.input_projection.weight", width, _WIDTH, scale=_WIDTH**-0.5)
    yield Noise("mm.soft_emb_norm.weight", (_WIDTH,), deviation=0.1, mean=1.0)


def _of_qwen(width: int) -> Iterator[TensorSpec]:
    yield from _linear("mm.0", 4 * _WIDTH, 4 * _WIDTH)
    yield from _linear("mm.2", 4 * _WIDTH, width)


def _linear(name: str, n_in: int, n_out: int) -> Iterator[TensorSpec]:
    yield _matrix(name, n_in, n_out)
    yield _noise(f"{name}.bias", n_out, scale=0.1)


def _matrix(name: str, n_in: int, n_out: int) -> TensorSpec:
    return _noise(f"{name}.weight", n_in, n_out, scale=n_in**-0.5)


def _norm(name: str) -> Iterator[TensorSpec]:
    yield _scale(name)
    yield _noise(f"{name}.bias", _WIDTH, scale=0.1)


def _scale(name: str) -> TensorSpec:
    return Noise(f"{name}.weight", (_WIDTH,), deviation=0.1, mean=1.0)


def _noise(name: str, *shape: int, scale: float = 1.0) -> TensorSpec:
    return Noise(name, shape, deviation=scale)
