"""A tiny mixture of experts, with random weights."""

from __future__ import annotations

from pathlib import Path

from support.architectures import (
    HIDDEN,
    WIDTH,
    Architecture,
    Blueprint,
    Noise,
    attention,
    attention_layer,
    ends,
    matrix,
    norms,
    write_blueprint,
)
from support.ggufs import TensorSpec

EXPERTS = 4


def write_mixture(path: Path) -> Path:
    """Write one like `Architecture.ATTENTION`, with `EXPERTS` feed-forwards a layer, of which a token needs two."""
    dense = attention()
    keys = {**dense.keys, "expert_count": EXPERTS, "expert_used_count": 2}
    tensors = ends("output_norm")
    for block in ("blk.0", "blk.1"):
        tensors += [*attention_layer(block), *_experts(block)]
    return write_blueprint(path, Architecture.ATTENTION.value, Blueprint(keys, tuple(tensors), dense.tokenizer))


def _experts(block: str) -> list[TensorSpec]:
    shapes = {"gate": (WIDTH, HIDDEN), "up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)}
    return [
        *norms(f"{block}.ffn_norm"),
        matrix(f"{block}.ffn_gate_inp", WIDTH, EXPERTS, gain=2.0),
        *(
            Noise(f"{block}.ffn_{name}_exps.weight", (*shape, EXPERTS), deviation=shape[0] ** -0.5)
            for name, shape in shapes.items()
        ),
    ]
