"""Tiny projectors of random weights, for a model of any width: what they show means nothing, but differs by picture.

Knows libmtmd's names of keys and tensors (tools/mtmd/clip-impl.h), and which of them it asks for (clip.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from support.architectures import Noise
from support.ggufs import FLOAT32, Array, Meta, TensorSpec, write_gguf

WIDTH, HIDDEN, HEADS, LAYERS, _PATCH = 32, 64, 2, 2, 8


def llava(path: Path, width: int, *, side: int = 32) -> Path:
    """LLaVA's: an encoder of pictures `side` pixels square, and two layers to the model's `width`: causal."""
    return write_gguf(path, *llava_parts(width, side=side))


def llava_parts(width: int, *, side: int = 32) -> tuple[dict[str, Meta], list[TensorSpec]]:
    """Its keys and tensors, for a file that has more."""
    tensors = [*_patches((side // _PATCH) ** 2), *_encoder(), *_of_llava(width)]
    return dict(_keys("mlp", width, side)), tensors


def gemma(path: Path, width: int, *, side: int = 64) -> Path:
    """Gemma 3's: 4 x 4 patches become one cell, and all cells of a picture see each other."""
    return _written(path, "gemma3", width, side, _of_gemma(width))


def qwen(path: Path, width: int, *, side: int = 64) -> Path:
    """Qwen2-VL's: pictures of any shape, 2 x 2 patches a cell; as many positions as the longer side has cells."""
    return _written(path, "qwen2vl_merger", width, side, _of_qwen(width), fixed=False)


def idefics(path: Path, width: int, *, side: int = 32) -> Path:
    """Idefics 3's: a picture as it is and its tiles, each a piece of its own; 2 x 2 patches become one cell."""
    keys = {"clip.vision.projector.scale_factor": 2, "clip.vision.preproc_image_size": 2 * side}
    patches = _patches((side // _PATCH) ** 2)
    fc = _matrix("mm.model.fc", 4 * WIDTH, width)
    return write_gguf(path, {**_keys("idefics3", width, side), **keys}, [*patches, *_encoder(), fc])


def pixtral(path: Path, width: int, *, side: int = 64) -> Path:
    """Pixtral's: pictures of any shape, a cell for each patch and one more at each row's end; positions are turned."""
    keys = {"clip.use_gelu": False, "clip.use_silu": True}
    return write_gguf(path, {**_keys("pixtral", width, side), **keys}, [*_gated_encoder(), *_of_pixtral(width)])


def _written(path: Path, family: str, width: int, side: int, more: Iterator[TensorSpec], *, fixed: bool = True) -> Path:
    patches = _patches((side // _PATCH) ** 2) if fixed else _patch_pairs()
    return write_gguf(path, _keys(family, width, side), [*patches, *_encoder(), *more])


def _keys(family: str, width: int, side: int) -> Mapping[str, Meta]:
    return {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.has_vision_encoder": True,
        "clip.projector_type": family,
        "clip.use_gelu": True,
        "clip.vision.image_size": side,
        "clip.vision.patch_size": _PATCH,
        "clip.vision.embedding_length": WIDTH,
        "clip.vision.feed_forward_length": HIDDEN,
        "clip.vision.block_count": LAYERS,
        "clip.vision.projection_dim": width,
        "clip.vision.attention.head_count": HEADS,
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": Array(FLOAT32, [0.5, 0.5, 0.5]),
        "clip.vision.image_std": Array(FLOAT32, [0.5, 0.5, 0.5]),
    }


def _patches(n_patches: int) -> Iterator[TensorSpec]:
    """So many, each with a place of its own."""
    yield noise("v.patch_embd.weight", _PATCH, _PATCH, 3, WIDTH, scale=0.1)
    yield noise("v.patch_embd.bias", WIDTH)
    yield noise("v.position_embd.weight", WIDTH, n_patches, scale=0.3)
    yield from norm("v.pre_ln")


def _patch_pairs() -> Iterator[TensorSpec]:
    """Of two frames of a film, which a picture is both of."""
    for name in ("weight", "weight.1"):
        yield noise(f"v.patch_embd.{name}", _PATCH, _PATCH, 3, WIDTH, scale=0.1)


def _encoder() -> Iterator[TensorSpec]:
    yield from norm("v.post_ln")
    for i in range(LAYERS):
        for name in ("ln1", "ln2"):
            yield from norm(f"v.blk.{i}.{name}")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from linear(f"v.blk.{i}.{name}", WIDTH, WIDTH)
        yield from linear(f"v.blk.{i}.ffn_up", WIDTH, HIDDEN)
        yield from linear(f"v.blk.{i}.ffn_down", HIDDEN, WIDTH)


def _gated_encoder() -> Iterator[TensorSpec]:
    """Without biases, and without places: those are in how queries and keys are turned."""
    yield noise("v.patch_embd.weight", _PATCH, _PATCH, 3, WIDTH, scale=0.1)
    yield _scale("v.pre_ln")
    for i in range(LAYERS):
        for name in ("ln1", "ln2"):
            yield _scale(f"v.blk.{i}.{name}")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield _matrix(f"v.blk.{i}.{name}", WIDTH, WIDTH)
        yield _matrix(f"v.blk.{i}.ffn_gate", WIDTH, HIDDEN)
        yield _matrix(f"v.blk.{i}.ffn_up", WIDTH, HIDDEN)
        yield _matrix(f"v.blk.{i}.ffn_down", HIDDEN, WIDTH)


def _of_pixtral(width: int) -> Iterator[TensorSpec]:
    yield from linear("mm.1", WIDTH, width)
    yield from linear("mm.2", width, width)
    yield noise("v.token_embd.img_break", width, scale=0.3)


def _of_llava(width: int) -> Iterator[TensorSpec]:
    yield from linear("mm.0", WIDTH, width)
    yield from linear("mm.2", width, width)


def _of_gemma(width: int) -> Iterator[TensorSpec]:
    yield noise("mm.input_projection.weight", width, WIDTH, scale=WIDTH**-0.5)
    yield Noise("mm.soft_emb_norm.weight", (WIDTH,), deviation=0.1, mean=1.0)


def _of_qwen(width: int) -> Iterator[TensorSpec]:
    yield from linear("mm.0", 4 * WIDTH, 4 * WIDTH)
    yield from linear("mm.2", 4 * WIDTH, width)


def linear(name: str, n_in: int, n_out: int) -> Iterator[TensorSpec]:
    yield _matrix(name, n_in, n_out)
    yield noise(f"{name}.bias", n_out, scale=0.1)


def norm(name: str) -> Iterator[TensorSpec]:
    yield _scale(name)
    yield noise(f"{name}.bias", WIDTH, scale=0.1)


def _matrix(name: str, n_in: int, n_out: int) -> TensorSpec:
    return noise(f"{name}.weight", n_in, n_out, scale=n_in**-0.5)


def _scale(name: str) -> TensorSpec:
    return Noise(f"{name}.weight", (WIDTH,), deviation=0.1, mean=1.0)


def noise(name: str, *shape: int, scale: float = 1.0) -> TensorSpec:
    return Noise(name, shape, deviation=scale)
