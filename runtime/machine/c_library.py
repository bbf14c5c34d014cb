"""The C library that the file brings, where this process runs on it.

The launcher takes it where the system's is older than the program needs, or there is none (templates/launcher.sh), and
starts a copy of the program that names it. Knows that copy's name and where the library lies. Refuses to know drivers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

_FOLDER = "glibc"  # bundler/freeze/c_library.py
_NOT_LOADED_SO = "ld-linux"  # the loader is there already, under another name


def own_c_library() -> Path | None:
    """Its folder; None where this process runs on the system's, as any does that is not frozen."""
    program = Path(sys.executable)
    is_copy = getattr(sys, "frozen", False) and program.suffix != ""  # loaf-runtime.HOST.PROCESS
    return program.parent / _FOLDER if is_copy else None


def load_own_parts() -> None:
    """Load all that belongs to it, before a driver is loaded; nothing where this process runs on the system's.

    A driver that names folders of its own (DT_RUNPATH) is not looked after by the program's: libdl, libpthread and the
    like would come from the system, and each fits only the C library that it was made with.
    """
    folder = own_c_library()
    for part in sorted(folder.iterdir()) if folder is not None else ():
        if not part.name.startswith(_NOT_LOADED_SO):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(part))


def describe_c_library() -> str:
    """As in `glibc 2.36`, or `glibc 2.36 of its own`."""
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION") or "an unknown C library"
    except (ValueError, OSError):
        return "another C library than glibc"
    return version if own_c_library() is None else f"{version} of its own"
