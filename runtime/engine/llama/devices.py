"""Backends for GPUs: their libraries, loaded into ggml's registry, and the devices that they bring there."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

from runtime.engine.errors import BackendFailed
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.ggml import declared
from runtime.engine.placement import Offload, WorkerAddress

_CPU = 0
"""GGML_BACKEND_DEVICE_TYPE_CPU in ggml-backend.h."""


@functools.cache
def load_backend(library: Path) -> tuple[int, ...]:
    """Load the backend in `library`, once; its devices (ggml_backend_dev_t), in its order. Raises `BackendFailed`."""
    binding, logs = import_binding()
    lib = declared(binding._lib)
    logs.clear()
    registry = lib.ggml_backend_load(os.fsencode(library))
    if not registry:
        raise BackendFailed(library, logs.last_error() or _loader_error(library))
    count = lib.ggml_backend_reg_dev_count(registry)
    return tuple(lib.ggml_backend_reg_dev_get(registry, number) for number in range(count))


def own_devices(library: Path, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Some of those of the backend in `library`. Raises `BackendFailed`, also where one is not there."""
    there = load_backend(library)
    if any(number >= len(there) for number in numbers):
        raise BackendFailed(library, f"it finds {len(there)} devices, and its driver more")
    return tuple(there[number] for number in numbers)


def processor() -> int:
    """The processor as a device (ggml_backend_dev_t)."""
    binding, _logs = import_binding()
    return int(declared(binding._lib).ggml_backend_dev_by_type(_CPU))


def free_memory(device: int) -> int:
    """Bytes that are free on `device`, a ggml_backend_dev_t, as far as its backend knows."""
    binding, _logs = import_binding()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    declared(binding._lib).ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return free.value


def remote_devices(workers: tuple[WorkerAddress, ...]) -> tuple[int, ...]:
    """All of `workers`, which have been found to answer."""
    if not workers:
        return ()
    from runtime.engine.llama.workers import connections

    return tuple(device for worker in workers for device in connections().devices(worker))


def device_array(devices: tuple[int, ...]) -> Any:
    """As C wants them, with a null at the end; keep the reference while it is used."""
    return (ctypes.c_void_p * (len(devices) + 1))(*devices, None)


def device_params(lib: Any, params: Any, offload: Offload) -> list[Any]:
    """Say in `params`, a llama_model_params, what `offload` says; returns what must live until the model is loaded."""
    own = own_devices(offload.library, offload.numbers) if offload.library is not None else ()
    devices = device_array((*remote_devices(offload.workers), *own))
    shares = (ctypes.c_float * max(lib.llama_max_devices(), 1))(*offload.tensor_split)
    params.devices = ctypes.addressof(devices)
    params.n_gpu_layers = offload.n_layers
    params.split_mode = ("none", "layer").index(offload.split_mode)
    params.main_gpu = offload.main_gpu
    if offload.tensor_split:
        params.tensor_split = shares
    places = buffer_types((*remote_devices(offload.workers), *own))
    buffers = [(one.pattern.encode(), places[one.buffer]) for one in offload.buffers()]
    elsewhere = (_TensorBuffer * (len(buffers) + 1))(*(_TensorBuffer(*one) for one in buffers))  # nulls end it
    params.tensor_buft_overrides = ctypes.addressof(elsewhere)
    return [devices, shares, elsewhere]


def buffer_types(devices: tuple[int, ...]) -> dict[str, int]:
    """By ggml's names, where `devices` and the processor have their tensors: {"CPU": a ggml_backend_buffer_type_t}."""
    binding, _logs = import_binding()
    lib = declared(binding._lib)
    types = [lib.ggml_backend_dev_buffer_type(device) for device in (processor(), *devices)]
    return {lib.ggml_backend_buft_name(one).decode("utf-8", "replace"): one for one in types if one}


class _TensorBuffer(ctypes.Structure):
    """llama_model_tensor_buft_override in llama.h."""

    _fields_ = (("pattern", ctypes.c_char_p), ("type", ctypes.c_void_p))


def _loader_error(library: Path) -> str:
    """Why the system's loader does not take it, which ggml keeps to itself."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return "it does not start"
