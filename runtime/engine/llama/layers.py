"""What a GGUF says of the sizes of its layers, read by ggml's own reader: only the header is looked at.

Layers are told by the names of their tensors, `blk.N.…` (gguf-py/gguf/constants.py). What they keep of the text,
`runtime.memory` knows.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

from runtime.engine.backend import LayerSizes, Weights
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.files import opened
from runtime.memory.layers import MAX_LAYERS, attention_shape, layer_caches

_LAYER = re.compile(rb"blk\.(\d+)\.")
_UINT32, _INT32, _BOOL, _STRING, _ARRAY = 4, 5, 7, 8, 9
"""Of gguf_type in gguf.h."""


NO_LAYERS = LayerSizes((), 0, (), 0, 0)
"""Those of a file that cannot be read."""


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))


def layer_sizes(weights: Weights) -> LayerSizes | None:
    """The sizes; None for a file that ggml cannot read: loading will say why."""
    binding, _logs = import_binding()
    lib = _declared(binding._lib)
    with opened(weights) as file:
        header = lib.gguf_init_from_file_ptr(file, _InitParams(no_alloc=True))
    if not header:
        return None
    try:
        return _sizes(_Header(lib, header))
    finally:
        lib.gguf_free(header)


class _Header:
    """A gguf_context, as `runtime.memory` reads it: what is there in another form is not there."""

    def __init__(self, lib: Any, handle: int) -> None:
        self._lib = lib
        self._handle = handle
        self.architecture = self._text("general.architecture")

    def number(self, key: str, *, least: int = 0) -> int | None:
        number = self._array(key) or self._one(key)
        return max(number) if number and max(number) >= least else None

    def numbers(self, key: str, count: int) -> tuple[int, ...] | None:
        found = self._array(key) or self._one(key) * count
        return found if len(found) == count else None

    def flags(self, key: str) -> tuple[bool, ...] | int | None:
        found = self._array(key)
        return tuple(map(bool, found)) if found else next(iter(self._one(key)), None)

    def _find(self, key: str) -> int:
        return int(self._lib.gguf_find_key(self._handle, key.replace("[llm]", self.architecture, 1).encode()))

    def _text(self, key: str) -> str:
        i = self._lib.gguf_find_key(self._handle, key.encode())
        if i < 0 or self._lib.gguf_get_kv_type(self._handle, i) != _STRING:
            return ""
        return str(self._lib.gguf_get_val_str(self._handle, i).decode("utf-8", "replace"))

    def _one(self, key: str) -> tuple[int, ...]:
        """The number that is there, if one is."""
        i = self._find(key)
        if i < 0 or self._lib.gguf_get_kv_type(self._handle, i) != _UINT32:
            return ()
        return (int(self._lib.gguf_get_val_u32(self._handle, i)),)

    def _array(self, key: str) -> tuple[int, ...]:
        i = self._find(key)
        if i < 0 or self._lib.gguf_get_kv_type(self._handle, i) != _ARRAY:
            return ()
        kinds: dict[int, Any] = {_UINT32: ctypes.c_uint32, _INT32: ctypes.c_int32, _BOOL: ctypes.c_bool}
        kind = kinds.get(self._lib.gguf_get_arr_type(self._handle, i))
        if kind is None:
            return ()
        length = min(self._lib.gguf_get_arr_n(self._handle, i), MAX_LAYERS)
        data = ctypes.cast(self._lib.gguf_get_arr_data(self._handle, i), ctypes.POINTER(kind))
        return tuple(max(int(data[j]), 0) for j in range(length))

    def length(self, key: str) -> int:
        """Of an array; 0 where there is none."""
        i = self._find(key)
        is_array = i >= 0 and self._lib.gguf_get_kv_type(self._handle, i) == _ARRAY
        return int(self._lib.gguf_get_arr_n(self._handle, i)) if is_array else 0

    def tensors(self) -> list[tuple[bytes, int]]:
        """Name and bytes of each."""
        return [
            (self._lib.gguf_get_tensor_name(self._handle, i), self._lib.gguf_get_tensor_size(self._handle, i))
            for i in range(self._lib.gguf_get_n_tensors(self._handle))
        ]


def _sizes(header: _Header) -> LayerSizes:
    layers: dict[int, int] = {}
    output = embedding = 0
    for name, size in header.tensors():
        if match := _LAYER.match(name):
            layers[int(match[1])] = layers.get(int(match[1]), 0) + size
        elif name.startswith((b"token_embd", b"per_layer_token_embd")):
            embedding += size if name == b"token_embd.weight" else 0
        else:
            output += size
    n_embd = header.number("[llm].embedding_length") or 0
    n_ff = header.number("[llm].feed_forward_length") or 4 * n_embd
    n_layer = min(header.number("[llm].block_count") or 0, MAX_LAYERS)
    return LayerSizes(
        layers=tuple(layers[i] for i in sorted(layers)),
        # Where there is no matrix of its own for the output, the embeddings are copied for it.
        output=output + (embedding if not any(name == b"output.weight" for name, _size in header.tensors()) else 0),
        caches=layer_caches(header, attention_shape(header, n_layer, n_embd), n_embd),
        widest=4 * (header.length("tokenizer.ggml.tokens") + 4 * n_embd + 2 * n_ff),
        n_ctx_train=header.number("[llm].context_length") or 0,
    )


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
