"""What llama.cpp says: its errors become the reasons in ours, and its last words are ours.

llama.cpp has one log callback for the whole process, called in the thread that it speaks of: so each thread keeps what
it was told, and models that are loaded side by side do not take each other's errors for their own. It has another for
when it finds a bug or a model that makes no sense: then it aborts the process (GGML_ASSERT), and nothing can be done
but say so; unless it was another machine that failed (`workers.py`).
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from runtime.machine.logs import LLAMA_CPP

_BUFFER = re.compile(rb"(load_tensors|sched_reserve): +(\S+) (?:model|compute) buffer size = +([\d.]+) MiB")
_LEVEL_ERROR = 4
_LEVEL_CONTINUES = 5
"""ggml_log_level in ggml.h: an error, and a piece of the line before it."""

_LEVELS = {2: logging.INFO, 3: logging.WARNING, _LEVEL_ERROR: logging.ERROR}

_log = logging.getLogger(LLAMA_CPP)
_log.addHandler(logging.NullHandler())


class _Heard(threading.local):
    """What one thread was told."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=8)
        self.weights: dict[str, int] = {}
        self.scratch: dict[str, int] = {}
        self.last_level = 0
        self.line = b""


class LogTail:
    """The last few error lines of the thread that asks. Lives as long as the process: llama.cpp goes on calling it."""

    def __init__(self, lib: Any) -> None:
        self._heard = _Heard()
        self.callback = lib.llama_log_callback(self._take)  # kept: llama.cpp calls it from now on
        """For libraries of llama.cpp's that have a log of their own."""
        lib.llama_log_set(self.callback, ctypes.c_void_p(0))

        self.before_aborting: Callable[[str], None] | None = None
        """Given llama.cpp's last words; where it does not return, the process goes on without the thread."""
        self._abort_callback = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(self._abort)
        lib._lib.ggml_set_abort_callback(self._abort_callback)

    def clear(self) -> None:
        """Forget what this thread was told: something else begins."""
        self._heard.errors.clear()
        self._heard.weights.clear()
        self._heard.scratch.clear()

    def last_error(self) -> str:
        """The errors since `clear`, as one line; the first says why, later ones repeat it."""
        return next((line for line in self._heard.errors if line), "")

    def weights_in(self, kind: str) -> int:
        """Bytes of weights put into buffers of `kind` since `clear`; the log is the only one to know."""
        return self._heard.weights.get(kind, 0)

    def scratch(self) -> tuple[tuple[str, int], ...]:
        """What a context made since `clear` computes in: the name of a memory, and bytes of it."""
        return tuple(self._heard.scratch.items())

    def _abort(self, message: bytes) -> None:
        text = message.decode("utf-8", "replace").strip()
        if self.before_aborting is not None:
            self.before_aborting(text)
        _exit_with_message(text)

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        heard = self._heard
        if level != _LEVEL_CONTINUES:
            heard.last_level = level
        if heard.last_level == _LEVEL_ERROR:
            heard.errors.append(text.decode("utf-8", "replace").strip())
        elif match := _BUFFER.search(text):
            sizes = heard.weights if match[1] == b"load_tensors" else heard.scratch
            kind = match[2].decode()
            sizes[kind] = sizes.get(kind, 0) + round(float(match[3]) * 1024 * 1024)
        if _log.isEnabledFor(logging.INFO):  # as it is where a log is written, and not where nobody has asked for one
            _log_lines(heard, text)


def _log_lines(heard: _Heard, text: bytes) -> None:
    """Whole lines only: pieces of one come one by one."""
    *lines, heard.line = (heard.line + text).split(b"\n")
    for line in lines:
        if line.strip():
            _log.log(_LEVELS.get(heard.last_level, logging.DEBUG), "%s", line.decode("utf-8", "replace").rstrip())


def _exit_with_message(text: str) -> None:
    """End the process as a failure: without this, ggml would start a debugger, print its backtrace and dump core."""
    os.write(
        2,
        f"error: llama.cpp cannot go on: {text}\n"
        "If the weights are whole (loaf verify, or their checksum), this is a bug: please report it.\n".encode(),
    )
    os._exit(1)
