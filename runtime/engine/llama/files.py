"""C streams, from which llama.cpp loads: opened where the weights begin."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.engine.weights import Weights


@contextmanager
def opened(weights: Weights) -> Iterator[Any]:
    """A C stream that stands at the first byte of `weights`. Raises `OSError`."""
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
