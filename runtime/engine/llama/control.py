"""What changes how a model computes besides its weights: how positions are told, and control vectors.

Knows the files of control vectors as llama.cpp's common/common.cpp reads them: `direction.N`, F32, behind layer N.
"""

from __future__ import annotations

import ctypes
import math
from array import array
from pathlib import Path
from typing import Any

from runtime.engine.errors import ControlVectorFailed
from runtime.engine.llama.gguf import F32, opened_gguf
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ControlVectors, Rope
from runtime.engine.weights import Weights

_DIRECTION = b"direction."
_SCALINGS = ("none", "linear", "yarn")


def say_rope(params: Any, rope: Rope) -> None:
    """Say in `params`, a llama_context_params, what `rope` says."""
    if rope.scaling is not None:
        params.rope_scaling_type = _SCALINGS.index(rope.scaling)
    for name, value in (
        ("rope_freq_base", rope.freq_base),
        ("rope_freq_scale", rope.freq_scale),
        ("yarn_orig_ctx", rope.yarn_orig_ctx),
        ("yarn_ext_factor", rope.yarn_ext_factor),
        ("yarn_attn_factor", rope.yarn_attn_factor),
        ("yarn_beta_fast", rope.yarn_beta_fast),
        ("yarn_beta_slow", rope.yarn_beta_slow),
    ):
        if value is not None:
            setattr(params, name, value)


def apply_control(model: LlamaModel, handle: Any, control: ControlVectors) -> array[float] | None:
    """Have the context `handle` add what `control` says; what that is, a vector for each layer from 1 on.

    None: nothing. Raises `ControlVectorFailed`, `OSError`.
    """
    if not control.files:
        return None
    lib = model.lib
    n_embd, n_layer = int(lib.llama_model_n_embd(model.handle)), int(lib.llama_model_n_layer(model.handle))
    total = array("f", bytes(4 * n_embd * (n_layer - 1)))
    for path, scale in control.files:
        for layer, vector in _directions(path, n_embd, n_layer).items():
            start = n_embd * (layer - 1)
            for i, value in enumerate(vector, start):
                total[i] += scale * value
    data = (ctypes.c_float * len(total)).from_buffer(total)
    last = n_layer if control.last is None else control.last
    if lib.llama_set_adapter_cvec(handle, data, len(total), n_embd, control.first, last) != 0:
        raise ControlVectorFailed(control.files[0][0], "llama.cpp has no place for it in this model")
    return total


def _directions(path: Path, n_embd: int, n_layer: int) -> dict[int, array[float]]:
    """{layer: its vector}, of a model of `n_layer` layers; behind the last one none counts."""
    found: dict[int, array[float]] = {}
    with opened_gguf(Weights(path)) as gguf:
        if gguf is None:
            raise ControlVectorFailed(path, "is no GGUF that can be read")
        for tensor in gguf.tensors():
            number = tensor.name.removeprefix(_DIRECTION)
            if number == tensor.name or not number.isdigit() or not 0 < int(number) < 1 << 16:
                raise ControlVectorFailed(path, f"has a tensor {tensor.name.decode(errors='replace')}, no direction.N")
            if tensor.type != F32 or tensor.size != 4 * n_embd:
                reason = f"has for layer {int(number)} no {n_embd:,} numbers in F32, as the model has them"
                raise ControlVectorFailed(path, reason)
            content = gguf.read(tensor)
            if len(content) < tensor.size:
                raise ControlVectorFailed(path, "is incomplete")
            vector = array("f", content)
            if not all(map(math.isfinite, vector)):
                raise ControlVectorFailed(path, f"has for layer {int(number)} what is no number")
            if int(number) < n_layer:
                found[int(number)] = vector
    if not found:
        raise ControlVectorFailed(path, "has no direction for a layer of this model")
    return found
