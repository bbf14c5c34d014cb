"""What of ggml's own functions is called that the binding does not declare. Refuses to know what for."""

from __future__ import annotations

import ctypes
from typing import Any


def declared(lib: Any) -> Any:
    """ggml-backend.h."""
    pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
    lib.ggml_backend_load.argtypes, lib.ggml_backend_load.restype = [ctypes.c_char_p], pointer
    lib.ggml_backend_reg_dev_count.argtypes, lib.ggml_backend_reg_dev_count.restype = [pointer], ctypes.c_size_t
    lib.ggml_backend_reg_dev_get.argtypes = [pointer, ctypes.c_size_t]
    lib.ggml_backend_reg_dev_get.restype = pointer
    lib.ggml_backend_dev_memory.argtypes, lib.ggml_backend_dev_memory.restype = [pointer, size, size], None
    lib.ggml_backend_dev_by_type.argtypes, lib.ggml_backend_dev_by_type.restype = [ctypes.c_int], pointer
    lib.ggml_backend_dev_buffer_type.argtypes, lib.ggml_backend_dev_buffer_type.restype = [pointer], pointer
    lib.ggml_backend_buft_name.argtypes, lib.ggml_backend_buft_name.restype = [pointer], ctypes.c_char_p
    return lib
