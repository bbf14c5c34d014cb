"""What would become of each tensor, by llama.cpp's own rules, and whether that may be.

llama.cpp refuses most of the same, but some of it only where it comes to the tensor in question, after hours.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from bundler.errors import ImportanceMissing, QuantizedAlready
from bundler.gguf import GGUF, Tensor
from bundler.gguf.header import align
from bundler.gguf.types import GGML_TYPES, GGMLType
from bundler.quantizing.child import Said
from bundler.quantizing.names import FileType

_TYPES = {type_.name.lower(): type_ for type_ in GGML_TYPES.values()}
_NEED_IMPORTANCE = {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs"}
_NEED_NONE = {"token_embd.weight", "per_layer_token_embd.weight", "output.weight"}
"""`tensor_requires_imatrix` in llama.cpp's src/llama-quant.cpp."""


def changes(said: Sequence[Said]) -> list[Said]:
    """The tensors that get another type."""
    return [one for one in said if one.new_type != one.type]


def quantized_size(model: GGUF, said: Sequence[Said]) -> int:
    """Bytes of the GGUF to be, but for a few of metadata."""
    types = {one.name: one.new_type for one in said}
    sizes = (_size(tensor, _TYPES.get(types.get(tensor.name, ""), tensor.type)) for tensor in model.tensors)
    return model.data_offset - model.offset + sum(align(size, model.alignment) for size in sizes)


def check_allowed(
    model: str,
    wanted: FileType,
    said: Sequence[Said],
    *,
    requantize: bool,
    importance: Path | None,
    known: Collection[str],
) -> None:
    """Raises `QuantizedAlready`, `ImportanceMissing`. `known` are the tensors for which there is an `importance`."""
    changed = changes(said)
    before = next((one for one in changed if _is_quantized(one.type)), None)
    if before is not None and not requantize:
        raise QuantizedAlready(model, before.type.upper(), wanted.name)
    needs_all = wanted.name == "Q2_K_S"
    for one in changed:
        needs = one.new_type in _NEED_IMPORTANCE or (needs_all and one.new_type == "q2_k")
        if needs and one.name not in _NEED_NONE and one.name not in known:
            raise ImportanceMissing(model, wanted.name, one.name, importance)


def _size(tensor: Tensor, type_: GGMLType) -> int:
    return tensor.element_count // type_.block_elements * type_.block_bytes


def _is_quantized(type_: str) -> bool:
    found = _TYPES.get(type_)
    return found is not None and found.block_elements > 1
