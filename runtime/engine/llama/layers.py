"""What a GGUF says of the sizes of its layers, read by ggml's own reader: only the header is looked at.

Layers are told by the names of their tensors, `blk.N.…` (gguf-py/gguf/constants.py). What K and V take is exact for
attention with heads; for other memories it is an estimate, rather too much.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

from runtime.engine.backend import CacheType, LayerSizes, Weights
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.files import opened

_LAYER = re.compile(rb"blk\.(\d+)\.")
_BITS: dict[CacheType, float] = {
    "f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5, "iq4_nl": 4.5,
}  # fmt: skip
"""Bits a value: block_q8_0 is 34 bytes for 32 values, and so on (ggml-common.h)."""

_UINT32, _INT32, _STRING, _ARRAY = 4, 5, 8, 9
"""Of gguf_type in gguf.h."""


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))


def layer_sizes(weights: Weights, type_k: CacheType, type_v: CacheType) -> LayerSizes | None:
    """The sizes, where K and V are kept as said. None for a file that ggml cannot read: loading will say why."""
    binding, _logs = import_binding()
    lib = _declared(binding._lib)
    with opened(weights) as file:
        header = lib.gguf_init_from_file_ptr(file, _InitParams(no_alloc=True))
    if not header:
        return None
    try:
        return _sizes(_Header(lib, header), type_k, type_v)
    finally:
        lib.gguf_free(header)


class _Header:
    """A gguf_context. Keys are read as whole numbers; what is there in another form is not there."""

    def __init__(self, lib: Any, handle: int) -> None:
        self._lib = lib
        self._handle = handle

    def text(self, key: str) -> str:
        i = self._lib.gguf_find_key(self._handle, key.encode())
        if i < 0 or self._lib.gguf_get_kv_type(self._handle, i) != _STRING:
            return ""
        return str(self._lib.gguf_get_val_str(self._handle, i).decode("utf-8", "replace"))

    def number(self, key: str, default: int) -> int:
        return max(self.numbers(key, 1) or [default])

    def numbers(self, key: str, count: int) -> list[int]:
        """One for each of `count` layers, all alike where the key has one for all; empty where there is none."""
        i = self._lib.gguf_find_key(self._handle, key.encode())
        if i < 0:
            return []
        kind = self._lib.gguf_get_kv_type(self._handle, i)
        if kind == _UINT32:
            return [int(self._lib.gguf_get_val_u32(self._handle, i))] * count
        if kind != _ARRAY or self._lib.gguf_get_arr_type(self._handle, i) not in (_UINT32, _INT32):
            return []
        length = self._lib.gguf_get_arr_n(self._handle, i)
        data = ctypes.cast(self._lib.gguf_get_arr_data(self._handle, i), ctypes.POINTER(ctypes.c_uint32))
        return [int(data[j]) for j in range(min(length, count) if count > 1 else length)]

    def length(self, key: str) -> int:
        """Of an array; 0 where there is none."""
        i = self._lib.gguf_find_key(self._handle, key.encode())
        is_array = i >= 0 and self._lib.gguf_get_kv_type(self._handle, i) == _ARRAY
        return int(self._lib.gguf_get_arr_n(self._handle, i)) if is_array else 0

    def tensors(self) -> list[tuple[bytes, int]]:
        """Name and bytes of each."""
        return [
            (self._lib.gguf_get_tensor_name(self._handle, i), self._lib.gguf_get_tensor_size(self._handle, i))
            for i in range(self._lib.gguf_get_n_tensors(self._handle))
        ]


def _sizes(header: _Header, type_k: CacheType, type_v: CacheType) -> LayerSizes:
    architecture = header.text("general.architecture")
    layers: dict[int, int] = {}
    output = embedding = 0
    for name, size in header.tensors():
        if match := _LAYER.match(name):
            layers[int(match[1])] = layers.get(int(match[1]), 0) + size
        elif name.startswith((b"token_embd", b"per_layer_token_embd")):
            embedding += size if name == b"token_embd.weight" else 0
        else:
            output += size
    n_embd = header.number(f"{architecture}.embedding_length", 0)
    n_ff = header.number(f"{architecture}.feed_forward_length", 4 * n_embd)
    return LayerSizes(
        layers=tuple(layers[i] for i in sorted(layers)),
        # Where there is no matrix of its own for the output, the embeddings are copied for it.
        output=output + (embedding if not any(name == b"output.weight" for name, _size in header.tensors()) else 0),
        cell_bytes=_cell_bytes(header, architecture, len(layers), n_embd, type_k, type_v),
        widest=4 * (header.length("tokenizer.ggml.tokens") + 4 * n_embd + 2 * n_ff),
        n_ctx_train=header.number(f"{architecture}.context_length", 0),
    )


def _cell_bytes(
    header: _Header, architecture: str, n_layers: int, n_embd: int, type_k: CacheType, type_v: CacheType
) -> tuple[int, ...]:
    n_head = header.number(f"{architecture}.attention.head_count", 1)
    heads = header.numbers(f"{architecture}.attention.head_count_kv", n_layers) or [n_head] * n_layers
    width = n_embd // max(n_head, 1)
    key = header.number(f"{architecture}.attention.key_length", width)
    value = header.number(f"{architecture}.attention.value_length", width)
    bits = key * _BITS[type_k] + value * _BITS[type_v]
    padded = [*heads, *[max(heads)] * n_layers][:n_layers]
    return tuple(round(count * bits / 8) for count in padded)


def _declared(lib: Any) -> Any:
    """gguf.h."""
    handle, index, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
    for name, arguments, result in (
        ("gguf_init_from_file_ptr", [ctypes.c_void_p, _InitParams], handle),
        ("gguf_free", [handle], None),
        ("gguf_find_key", [handle, text], index),
        ("gguf_get_kv_type", [handle, index], ctypes.c_int),
        ("gguf_get_arr_type", [handle, index], ctypes.c_int),
        ("gguf_get_val_u32", [handle, index], ctypes.c_uint32),
        ("gguf_get_val_str", [handle, index], text),
        ("gguf_get_arr_n", [handle, index], ctypes.c_size_t),
        ("gguf_get_arr_data", [handle, index], ctypes.c_void_p),
        ("gguf_get_n_tensors", [handle], index),
        ("gguf_get_tensor_name", [handle, index], text),
        ("gguf_get_tensor_size", [handle, index], ctypes.c_size_t),
    ):
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, result
    return lib
