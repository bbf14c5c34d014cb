"""Backends for GPUs: their libraries, loaded into ggml's registry, and the devices that they bring there."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

from runtime.engine.backend import Offload
from runtime.engine.errors import BackendFailed
from runtime.engine.llama.binding import import_binding


class Devices:
    """Those of the backend in `library`, in its own order. `handles` are ggml_backend_dev_t."""

    def __init__(self, lib: Any, library: Path, handles: tuple[int, ...]) -> None:
        self._lib = lib
        self._library = library
        self.handles = handles

    def free(self, number: int) -> int:
        """Bytes of memory that the driver says are free on a device, now. Raises `BackendFailed` if it is not there."""
        if number >= len(self.handles):
            raise BackendFailed(self._library, f"it finds {len(self.handles)} devices, and its driver more")
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._lib.ggml_backend_dev_memory(self.handles[number], ctypes.byref(free), ctypes.byref(total))
        return free.value

    def array(self, numbers: tuple[int, ...]) -> Any:
        """Some of them, as llama_model_params wants them; keep the reference while the model loads."""
        chosen = [self.handles[number] for number in numbers]
        return (ctypes.c_void_p * (len(chosen) + 1))(*chosen, None)


@functools.cache
def load_backend(library: Path) -> Devices:
    """Load the backend in `library`, once. Raises `BackendFailed`."""
    binding, logs = import_binding()
    lib = _declared(binding._lib)
    logs.clear()
    registry = lib.ggml_backend_load(os.fsencode(library))
    if not registry:
        raise BackendFailed(library, logs.last_error() or _loader_error(library))
    count = lib.ggml_backend_reg_dev_count(registry)
    return Devices(lib, library, tuple(lib.ggml_backend_reg_dev_get(registry, number) for number in range(count)))


def device_params(lib: Any, params: Any, offload: Offload) -> list[Any]:
    """Say in `params`, a llama_model_params, what `offload` says; returns what must live until the model is loaded."""
    devices = load_backend(offload.library).array(offload.numbers)
    shares = (ctypes.c_float * max(lib.llama_max_devices(), 1))(*offload.tensor_split)
    params.devices = ctypes.addressof(devices)
    params.n_gpu_layers = offload.n_layers
    params.split_mode = ("none", "layer", "row").index(offload.split_mode)
    params.main_gpu = offload.main_gpu
    if offload.tensor_split:
        params.tensor_split = shares
    return [devices, shares]


def _loader_error(library: Path) -> str:
    """Why the system's loader does not take it, which ggml keeps to itself."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return "it does not start"


def _declared(lib: Any) -> Any:
    """ggml-backend.h."""
    pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
    lib.ggml_backend_load.argtypes, lib.ggml_backend_load.restype = [ctypes.c_char_p], pointer
    lib.ggml_backend_reg_dev_count.argtypes, lib.ggml_backend_reg_dev_count.restype = [pointer], ctypes.c_size_t
    lib.ggml_backend_reg_dev_get.argtypes = [pointer, ctypes.c_size_t]
    lib.ggml_backend_reg_dev_get.restype = pointer
    lib.ggml_backend_dev_memory.argtypes, lib.ggml_backend_dev_memory.restype = [pointer, size, size], None
    return lib
