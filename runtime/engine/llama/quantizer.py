"""llama.cpp's own quantizer: a GGUF out of another one, in a child process whose only task it is.

The child says what llama.cpp says, on standard error: whoever started it reads from there how far it is. It exits with
0 or 1, or is gone where llama.cpp crashes. Knows how the library is told. Refuses to know what is worth telling it
(`bundler/quantizing/`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.quantizing import Importance, QuantizeRequest

_BUFFER = 256 * 1024 * 1024
"""Bytes of a tensor that are in memory at once; llama.cpp's own default is 8 GiB."""


def quantize_and_exit(request: str) -> NoReturn:
    """Do what `request`, in JSON, says, and end the process."""
    for number in (signal.SIGINT, signal.SIGPIPE):  # Python would wait until llama.cpp is done
        signal.signal(number, signal.SIG_DFL)
    sys.exit(0 if quantize(msgspec.json.decode(request, type=QuantizeRequest)) else 1)


def quantize(request: QuantizeRequest) -> bool:
    """Do it, while llama.cpp tells on standard error of each tensor. False where it has said why it did not.

    Raises `OSError` where the importance matrix cannot be read.
    """
    lib, _logs = import_binding()
    lib.llama_log_set(lib.llama_log_callback(), ctypes.c_void_p(0))  # none: all goes to standard error
    params = lib.llama_model_quantize_default_params()
    params.ftype = request.file_type
    params.nthread = request.threads
    params.dry_run = request.dry_run
    params.allow_requantize = request.requantize
    params.max_buf_size = _BUFFER
    if request.importance is not None:
        params.imatrix = _importance(lib, request.importance)
    source, target = os.fsencode(request.source), os.fsencode(request.target)
    return bool(lib.llama_model_quantize(source, target, ctypes.byref(params)) == 0)


def _importance(lib: Any, importance: Importance) -> Any:
    """The array that llama.cpp takes, which ends with an entry without a name."""
    numbers = bytearray(Path(importance.file).read_bytes())
    array = (lib.llama_model_imatrix_data * (len(importance.entries) + 1))()
    position = 0
    for entry, (name, count) in zip(array, importance.entries, strict=False):
        data = (ctypes.c_float * count).from_buffer(numbers, position)
        entry.name, entry.size = name.encode(), count
        entry.data = ctypes.cast(data, ctypes.POINTER(ctypes.c_float))
        position += ctypes.sizeof(data)
    return array
