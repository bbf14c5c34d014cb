"""Weights and adapters, loaded where they lie: the file that holds them is mapped, a bundle as well as a GGUF.

Knows llama.cpp's loading from an open file. Refuses to know what a bundle is.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runtime.engine.backend import Adapter, LoadSettings, Weights
from runtime.engine.errors import AdapterFailed, LoadAborted, ModelLoadFailed
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.model import LlamaModel


def load_model(
    weights: Weights, settings: LoadSettings, abort_load: threading.Event, adapters: Sequence[Adapter] = ()
) -> LlamaModel:
    """Load `weights`, of which nothing is copied but what is repacked, and `adapters` for them.

    Setting `abort_load` from another thread ends the loading with `LoadAborted`. Raises `ModelLoadFailed`,
    `AdapterFailed`, `OSError`.
    """
    lib, logs = import_binding()
    params = lib.llama_model_default_params()
    params.load_mode = _load_mode(lib, settings)
    params.use_extra_bufts = settings.repack
    # The reference must live until loading is over, or ctypes frees the callback.
    callback = lib.llama_progress_callback(lambda _progress, _data: not abort_load.is_set())
    params.progress_callback = callback
    with _opened(weights) as file:
        handle = lib.llama_model_load_from_file_ptr(file, params)
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
    with _opened(adapter.weights) as file:
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


@contextmanager
def _opened(weights: Weights) -> Iterator[Any]:
    """A C stream that stands at the first byte of `weights`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fopen.restype = ctypes.c_void_p
    libc.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    libc.fseeko.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
    libc.fclose.argtypes = [ctypes.c_void_p]
    file = libc.fopen(os.fsencode(weights.path), b"rb")
    if not file:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(weights.path))
    try:
        libc.fseeko(file, weights.offset, os.SEEK_SET)
        yield file
    finally:
        libc.fclose(file)
