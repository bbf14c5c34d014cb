"""What llama.cpp says: its errors become the reasons in ours, and its last words are ours.

llama.cpp has one log callback for the whole process, and one for when it finds a bug or a model that makes no sense:
then it aborts the process (GGML_ASSERT), and nothing can be done but say so.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections import deque
from typing import Any

_BUFFER = re.compile(rb"load_tensors: +(\S+) model buffer size = +([\d.]+) MiB")
_LEVEL_ERROR = 4
_LEVEL_CONTINUES = 5
"""ggml_log_level in ggml.h: an error, and a piece of the line before it."""


class LogTail:
    """The last few error lines. Lives as long as the process: llama.cpp goes on calling it."""

    def __init__(self, lib: Any) -> None:
        self._errors: deque[str] = deque(maxlen=8)
        self._buffers: dict[str, int] = {}
        self._last_level = 0
        self._callback = lib.llama_log_callback(self._take)  # kept: llama.cpp calls it from now on
        lib.llama_log_set(self._callback, ctypes.c_void_p(0))

        self._abort_callback = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(_exit_with_message)
        lib._lib.ggml_set_abort_callback(self._abort_callback)

    def clear(self) -> None:
        self._errors.clear()

    def last_error(self) -> str:
        """The errors since `clear`, as one line; the first says why, later ones repeat it."""
        return next((line for line in self._errors if line), "")

    def buffer_size(self, kind: str) -> int:
        """Bytes of weights that the last model put into buffers of `kind`; the log is the only one to know."""
        return self._buffers.get(kind, 0)

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        if level != _LEVEL_CONTINUES:
            self._last_level = level
        if self._last_level == _LEVEL_ERROR:
            self._errors.append(text.decode("utf-8", "replace").strip())
        elif match := _BUFFER.search(text):
            self._buffers[match[1].decode()] = round(float(match[2]) * 1024 * 1024)


def _exit_with_message(message: bytes) -> None:
    """End the process as a failure: without this, ggml would start a debugger, print its backtrace and dump core."""
    text = message.decode("utf-8", "replace").strip()
    os.write(
        2,
        f"error: llama.cpp cannot go on: {text}\n"
        "If the weights are whole (loaf verify, or their checksum), this is a bug: please report it.\n".encode(),
    )
    os._exit(1)
