"""GGUF files, read by ggml's own reader: what is in the header, and a tensor's bytes where they are asked for."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.files import opened
from runtime.engine.weights import Weights
from runtime.memory.layers import MAX_LAYERS

F32 = 0
"""GGML_TYPE_F32."""

_UINT32, _INT32, _BOOL, _STRING, _ARRAY = 4, 5, 7, 8, 9
"""Of gguf_type in gguf.h."""


class Tensor(msgspec.Struct, frozen=True):
    """`type` is ggml's, `size` counts bytes, and `offset` is where they are from the beginning of the GGUF."""

    name: bytes
    type: int
    size: int
    offset: int


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))


@contextmanager
def opened_gguf(weights: Weights) -> Iterator[Gguf | None]:
    """What `weights` say while the block runs; None for a file that ggml cannot read. Raises `OSError`."""
    binding, _logs = import_binding()
    lib = _declared(binding._lib)
    with opened(weights) as file:
        header = lib.gguf_init_from_file_ptr(file, _InitParams(no_alloc=True))
    if not header:
        yield None
        return
    try:
        yield Gguf(lib, header, weights)
    finally:
        lib.gguf_free(header)


class Gguf:
    """A gguf_context, as `runtime.memory` reads it: what is there in another form is not there."""

    def __init__(self, lib: Any, handle: int, weights: Weights) -> None:
        self._weights = weights
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

    def tensors(self) -> list[Tensor]:
        """All that are in the file."""
        lib, handle = self._lib, self._handle
        begin = lib.gguf_get_data_offset(handle)
        return [
            Tensor(
                lib.gguf_get_tensor_name(handle, i),
                lib.gguf_get_tensor_type(handle, i),
                lib.gguf_get_tensor_size(handle, i),
                begin + lib.gguf_get_tensor_offset(handle, i),
            )
            for i in range(lib.gguf_get_n_tensors(handle))
        ]

    def read(self, tensor: Tensor) -> bytes:
        """Its bytes, as many as there are. Raises `OSError`."""
        with self._weights.path.open("rb") as file:
            return os.pread(file.fileno(), tensor.size, self._weights.offset + tensor.offset)


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
        ("gguf_get_tensor_type", [handle, index], ctypes.c_int),
        ("gguf_get_tensor_offset", [handle, index], ctypes.c_size_t),
        ("gguf_get_data_offset", [handle], ctypes.c_size_t),
    ):
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, result
    return lib
