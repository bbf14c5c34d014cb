"""What the child process does that asks a driver for its devices: it says what it found, as JSON, and is gone.

A process of its own, because a driver may crash or never answer.
"""

from __future__ import annotations

import os
import signal

import msgspec

from runtime.backends.devices import Report
from runtime.backends.system_cxx import prefer_newer_libstdcxx
from runtime.machine.c_library import load_own_parts

_SECONDS = 60
"""After which the process ends itself: whoever waited for it has long gone on, or was killed."""


def answer(backend: str) -> None:
    """Ask the driver of `backend`, write a `Report` to standard output as the last line, and end the process.

    At once: what drivers do when a process ends may crash, too.
    """
    signal.alarm(_SECONDS)
    load_own_parts()
    prefer_newer_libstdcxx()
    report = _ask(backend)
    os.write(1, b"\n" + msgspec.json.encode(report) + b"\n")
    os._exit(0)


def _ask(backend: str) -> Report:
    match backend:
        case "cuda":
            from runtime.backends.cuda import ask
        case "rocm":
            from runtime.backends.rocm import ask
        case "vulkan":
            from runtime.backends.vulkan import ask
        case _:
            return Report("metal", problem="this version cannot ask for its devices")
    return ask()
