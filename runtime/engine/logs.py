"""What llama.cpp logs, kept short: its errors become the reasons in ours.

llama.cpp has one log callback for the whole process.
"""

from __future__ import annotations

import ctypes
from collections import deque
from typing import Any

_LEVEL_ERROR = 4
_LEVEL_CONTINUES = 5
"""ggml_log_level in ggml.h: an error, and a piece of the line before it."""


class LogTail:
    """The last few error lines. Lives as long as the process: llama.cpp goes on calling it."""

    def __init__(self, lib: Any) -> None:
        self._errors: deque[str] = deque(maxlen=8)
        self._last_level = 0
        self._callback = lib.llama_log_callback(self._take)  # kept: llama.cpp calls it from now on
        lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def clear(self) -> None:
        self._errors.clear()

    def last_error(self) -> str:
        """The errors since `clear`, as one line; the first says why, later ones repeat it."""
        return next((line for line in self._errors if line), "")

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        if level != _LEVEL_CONTINUES:
            self._last_level = level
        if self._last_level == _LEVEL_ERROR:
            self._errors.append(text.decode("utf-8", "replace").strip())
