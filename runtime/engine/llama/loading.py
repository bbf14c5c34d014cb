"""Weights and adapters, loaded where they lie: the file that holds them is mapped, a bundle as well as a GGUF.

Knows llama.cpp's loading from an open file. Refuses to know what a bundle is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from runtime.engine.errors import AdapterFailed, LoadAborted, ModelLoadFailed
from runtime.engine.llama.binding import import_binding, use_numa
from runtime.engine.llama.devices import device_params
from runtime.engine.llama.files import opened
from runtime.engine.llama.logs import LogTail
from runtime.engine.llama.model import LlamaModel
from runtime.engine.placement import Offload
from runtime.engine.settings import LoadSettings, MetadataOverride
from runtime.engine.weights import Adapter, Weights

_REPACKING = ("AMX", "CPU_REPACK")
"""ggml's names of the memories in which weights are laid out for the processor: for its tiles, and for its vectors."""


def load_model(
    weights: Weights,
    settings: LoadSettings,
    abort_load: threading.Event,
    adapters: Sequence[Adapter] = (),
    offload: Offload | None = None,
    report: Callable[[float], None] = lambda _share: None,
) -> LlamaModel:
    """Load `weights`, of which nothing is copied but what is repacked or goes to a GPU, and `adapters` for them.

    `report` is called with the share of the weights that has been read, from 0 to 1. Setting `abort_load` from another
    thread ends the loading with `LoadAborted`. Raises `ModelLoadFailed`,
    `AdapterFailed`, `BackendFailed`, `OSError`.
    """
    lib, logs = import_binding()
    logs.clear()
    if settings.numa is not None:
        use_numa(settings.numa)
    params = lib.llama_model_default_params()
    params.load_mode = _load_mode(lib, settings)

    def goes_on(share: float) -> bool:
        report(share)
        return not abort_load.is_set()

    handle = _load(weights, params, settings, offload, goes_on)
    if abort_load.is_set():
        if handle:
            lib.llama_model_free(handle)
        raise LoadAborted
    return _with_adapters(weights, handle, _repacked(logs), adapters)


def look_at_model(
    weights: Weights, settings: LoadSettings, adapters: Sequence[Adapter] = (), offload: Offload | None = None
) -> LlamaModel:
    """The model that `load_model` would give, without its weights: it takes no memory to speak of, and cannot compute.

    What would be repacked is found by taking the memory for it, untouched. Whether a GPU has the memory that it says
    it has is not tried. Raises as `load_model` does.
    """
    lib, logs = import_binding()
    logs.clear()
    params = lib.llama_model_default_params()
    params.load_mode = lib.LLAMA_LOAD_MODE_NONE
    if not (offload and (offload.numbers or offload.workers)):  # beside a GPU nothing is repacked
        _load(weights, params, settings, offload, lambda _share: False)
        _check_allocated(weights, settings, logs.last_error())
    params.no_alloc = True
    handle = _load(weights, params, settings, offload, lambda _share: True)
    return _with_adapters(weights, handle, _repacked(logs), adapters)


def _check_allocated(weights: Weights, settings: LoadSettings, error: str) -> None:
    """Raise what `load_model` would. Where it maps the weights, those that are not repacked need no memory."""
    if "unable to allocate" in error and (not settings.mmap or any(kind in error for kind in _REPACKING)):
        raise ModelLoadFailed(weights.path, error)


def _load(
    weights: Weights, params: Any, settings: LoadSettings, offload: Offload | None, goes_on: Callable[[float], bool]
) -> Any:
    """A llama_model, None where that failed. `goes_on` is asked before each tensor is read, with the share that
    has been."""
    lib, _logs = import_binding()
    params.use_extra_bufts = settings.repack
    # References must live until loading is over, or ctypes frees what they refer to.
    callback = lib.llama_progress_callback(lambda share, _data: goes_on(share))
    params.progress_callback = callback
    kept = device_params(lib, params, offload) if offload is not None else []
    kept += override_params(lib, params, settings.overrides)
    if weights.is_split():  # whose other parts llama.cpp finds by the name of the first
        handle = lib.llama_model_load_from_file(os.fsencode(weights.path), params)
    else:
        with opened(weights) as file:
            handle = lib.llama_model_load_from_file_ptr(file, params)
    del kept
    return handle


def _with_adapters(weights: Weights, handle: Any, repacked: int, adapters: Sequence[Adapter]) -> LlamaModel:
    lib, logs = import_binding()
    if not handle:
        raise ModelLoadFailed(weights.path, logs.last_error())
    try:
        loaded = tuple(_load_adapter(adapter, handle) for adapter in adapters)
    except BaseException:
        lib.llama_model_free(handle)
        raise
    return LlamaModel(lib, handle, logs, repacked, tuple(adapters), loaded)


def _repacked(logs: LogTail) -> int:
    return sum(map(logs.weights_in, _REPACKING))


def _load_adapter(adapter: Adapter, model: Any) -> Any:
    """llama.cpp frees it with the model."""
    lib, logs = import_binding()
    logs.clear()
    with opened(adapter.weights) as file:
        handle = lib.llama_adapter_lora_init_from_file_ptr(model, file)
    if not handle:
        raise AdapterFailed(adapter.name, logs.last_error())
    return handle


def override_params(lib: Any, params: Any, overrides: Sequence[MetadataOverride]) -> list[Any]:
    """Say in `params`, a llama_model_params, what `overrides` say; what must live until the model is loaded."""
    if not overrides:
        return []
    array = (lib.llama_model_kv_override * (len(overrides) + 1))()  # an empty key ends it
    for entry, override in zip(array, overrides, strict=False):
        entry.key = override.key.encode()
        match override.value:
            case bool():
                entry.tag, entry.value.val_bool = lib.LLAMA_KV_OVERRIDE_TYPE_BOOL, override.value
            case int():
                entry.tag, entry.value.val_i64 = lib.LLAMA_KV_OVERRIDE_TYPE_INT, override.value
            case float():
                entry.tag, entry.value.val_f64 = lib.LLAMA_KV_OVERRIDE_TYPE_FLOAT, override.value
            case str():
                entry.tag, entry.value.val_str = lib.LLAMA_KV_OVERRIDE_TYPE_STR, override.value.encode()
    params.kv_overrides = array
    return [array]


def _load_mode(lib: Any, settings: LoadSettings) -> int:
    modes = {
        (False, False): lib.LLAMA_LOAD_MODE_NONE,
        (True, False): lib.LLAMA_LOAD_MODE_MMAP,
        (False, True): lib.LLAMA_LOAD_MODE_MLOCK,
        (True, True): lib.LLAMA_LOAD_MODE_MMAP_MLOCK,
    }
    return int(modes[settings.mmap, settings.mlock])
