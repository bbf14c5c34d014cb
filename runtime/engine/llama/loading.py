"""Weights and adapters, loaded where they lie: the file that holds them is mapped, a bundle as well as a GGUF.

Knows llama.cpp's loading from an open file. Refuses to know what a bundle is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from runtime.engine.backend import Adapter, LoadSettings, Offload, Weights
from runtime.engine.errors import AdapterFailed, LoadAborted, ModelLoadFailed
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.devices import device_params
from runtime.engine.llama.files import opened
from runtime.engine.llama.model import LlamaModel


def load_model(
    weights: Weights,
    settings: LoadSettings,
    abort_load: threading.Event,
    adapters: Sequence[Adapter] = (),
    offload: Offload | None = None,
) -> LlamaModel:
    """Load `weights`, of which nothing is copied but what is repacked or goes to a GPU, and `adapters` for them.

    Setting `abort_load` from another thread ends the loading with `LoadAborted`. Raises `ModelLoadFailed`,
    `AdapterFailed`, `BackendFailed`, `OSError`.
    """
    lib, logs = import_binding()
    logs.clear()
    params = lib.llama_model_default_params()
    params.load_mode = _load_mode(lib, settings)
    params.use_extra_bufts = settings.repack
    # The reference must live until loading is over, or ctypes frees the callback.
    callback = lib.llama_progress_callback(lambda _progress, _data: not abort_load.is_set())
    params.progress_callback = callback
    kept = device_params(lib, params, offload) if offload is not None else []
    with opened(weights) as file:
        handle = lib.llama_model_load_from_file_ptr(file, params)
    del kept
    if abort_load.is_set():
        if handle:
            lib.llama_model_free(handle)
        raise LoadAborted
    if not handle:
        raise ModelLoadFailed(weights.path, logs.last_error())
    try:
        loaded = tuple(_load_adapter(adapter, handle) for adapter in adapters)
    except BaseException:
        lib.llama_model_free(handle)
        raise
    return LlamaModel(lib, handle, logs, tuple(adapters), loaded)


def _load_adapter(adapter: Adapter, model: Any) -> Any:
    """llama.cpp frees it with the model."""
    lib, logs = import_binding()
    logs.clear()
    with opened(adapter.weights) as file:
        handle = lib.llama_adapter_lora_init_from_file_ptr(model, file)
    if not handle:
        raise AdapterFailed(adapter.name, logs.last_error())
    return handle


def _load_mode(lib: Any, settings: LoadSettings) -> int:
    modes = {
        (False, False): lib.LLAMA_LOAD_MODE_NONE,
        (True, False): lib.LLAMA_LOAD_MODE_MMAP,
        (False, True): lib.LLAMA_LOAD_MODE_MLOCK,
        (True, True): lib.LLAMA_LOAD_MODE_MMAP_MLOCK,
    }
    return int(modes[settings.mmap, settings.mlock])
