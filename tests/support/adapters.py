"""What is made for `Architecture.ATTENTION` besides: LoRA adapters, and control vectors.

Knows what llama.cpp asks of them (src/llama-adapter.cpp, common/common.cpp).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.architectures import HIDDEN, WIDTH, Architecture, Noise, entry, write_gguf
from support.ggufs import TensorSpec


@dataclass(frozen=True)
class Given(TensorSpec):
    """Values as they are named, in F32."""

    values: tuple[float, ...] = ()

    @property
    def data(self) -> bytes:
        return array("f", self.values).tobytes()


def write_control_vector(path: Path, layers: Mapping[int, Sequence[float]]) -> Path:
    """Write a control vector with a direction for each of `layers`. Returns `path`."""
    tensors = [Given(f"direction.{layer}", (len(vector),), values=tuple(vector)) for layer, vector in layers.items()]
    return write_gguf(path, [entry("general.architecture", "controlvector")], tensors)


def write_lora(path: Path, seed: int, rank: int) -> Path:
    """Write a LoRA adapter for `Architecture.ATTENTION`. Returns `path`.

    Another `seed` gives another adapter. Whatever the `rank`, at scale 1 it adds as much as there is.
    """
    tensors: list[TensorSpec] = []
    for block in ("blk.0", "blk.1"):
        for name, inputs in (("attn_output", WIDTH), ("ffn_down", HIDDEN)):
            target = f"{block}.{name}.weight"
            tensors.append(Noise(f"{target}.lora_a", (inputs, rank), deviation=inputs**-0.5, seed=seed))
            tensors.append(Noise(f"{target}.lora_b", (rank, WIDTH), deviation=rank**-0.5, seed=seed))
    entries = [
        entry("general.architecture", Architecture.ATTENTION.value),
        entry("general.type", "adapter"),
        entry("adapter.type", "lora"),
        entry("adapter.lora.alpha", float(rank)),  # what is added is multiplied by alpha / rank
    ]
    return write_gguf(path, entries, tensors)
