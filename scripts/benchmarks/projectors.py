"""What LLaVA's projector is made of, of noise: an encoder of pictures like CLIP's ViT-B, and two layers to a model.

Knows libmtmd's names (tools/mtmd/clip-impl.h) and which tensors it asks for (clip.cpp). What it makes of a picture
means nothing, and takes as long as with any other weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from entries import number, real, reals, switch, text
from shapes import Tensor


@dataclass(frozen=True, slots=True)
class Llava:
    """For a model of width `out`. A picture of `side` pixels square is as many cells as it has patches: 1,024."""

    out: int
    side: int = 448
    patch: int = 14
    layers: int = 12
    width: int = 768
    hidden: int = 3072
    heads: int = 12

    @property
    def architecture(self) -> str:
        return "clip"

    def keys(self) -> list[bytes]:
        return [
            text("general.type", "mmproj"),
            switch("clip.has_vision_encoder", True),
            text("clip.projector_type", "mlp"),
            switch("clip.use_gelu", True),
            number("clip.vision.image_size", self.side),
            number("clip.vision.patch_size", self.patch),
            number("clip.vision.embedding_length", self.width),
            number("clip.vision.feed_forward_length", self.hidden),
            number("clip.vision.block_count", self.layers),
            number("clip.vision.projection_dim", self.out),
            number("clip.vision.attention.head_count", self.heads),
            real("clip.vision.attention.layer_norm_epsilon", 1e-5),
            reals("clip.vision.image_mean", [0.5] * 3),
            reals("clip.vision.image_std", [0.5] * 3),
        ]

    def tensors(self, vocabulary_size: int) -> Iterator[Tensor]:  # noqa: ARG002 (other shapes have one)
        small = 0.5 / self.hidden**0.5
        yield Tensor("v.patch_embd.weight", (self.patch, self.patch, 3, self.width), small)
        yield Tensor("v.position_embd.weight", (self.width, (self.side // self.patch) ** 2), 0.3)
        yield from self._norm("v.pre_ln")
        for layer in range(self.layers):
            block = f"v.blk.{layer}"
            yield from self._norm(f"{block}.ln1")
            for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
                yield from _linear(f"{block}.{name}", self.width, self.width, small)
            yield from self._norm(f"{block}.ln2")
            yield from _linear(f"{block}.ffn_up", self.width, self.hidden, small)
            yield from _linear(f"{block}.ffn_down", self.hidden, self.width, small)
        yield from self._norm("v.post_ln")
        yield from _linear("mm.0", self.width, self.out, small)
        yield from _linear("mm.2", self.out, self.out, small)

    def _norm(self, name: str) -> Iterator[Tensor]:
        yield Tensor(f"{name}.weight", (self.width,), 1)
        yield Tensor(f"{name}.bias", (self.width,), 0)


def _linear(name: str, inputs: int, outputs: int, deviation: float) -> Iterator[Tensor]:
    yield Tensor(f"{name}.weight", (inputs, outputs), deviation)
    yield Tensor(f"{name}.bias", (outputs,), 0)
