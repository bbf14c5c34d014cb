"""Where the system keeps a shared library, found without loading it, and loaded from there; and whether any can be."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from runtime.machine.c_library import own_c_library

_FOLDERS = (
    f"/usr/lib/{platform.machine()}-linux-gnu",
    f"/lib/{platform.machine()}-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/lib",
    "/usr/local/lib",
    "/usr/local/cuda/lib64",
    "/usr/local/nvidia/lib64",
    "/opt/rocm/lib",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
)
"""Debian's and Fedora's ways, toolkits, NVIDIA's in containers, WSL, NixOS. The loader's own cache has more, in a
format of its own."""

_MUSL = Path("/lib")
"""Where musl's loader lies, by its ABI."""


def find_library(name: str) -> Path | None:
    """The file that asking for `name` most likely loads; None where there is none."""
    return next((path for folder in _folders() if (path := folder / name).exists()), None)


def load_library(name: str) -> ctypes.CDLL:
    """The library `name`, from where the loader looks, else from where this module does. Raises `OSError`."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        found = find_library(name)
        if found is None:
            raise
        return ctypes.CDLL(str(found))


def why_no_driver_fits() -> str:
    """A clause: no library of this system can be loaded into this process, because all are made for musl; "" else.

    Loading one would end the process: it would bring a second C library.
    """
    if own_c_library() is None or find_library("libc.so.6") is not None or not any(_MUSL.glob("ld-musl-*.so.1")):
        return ""
    return "this system's drivers are made for the C library musl, and cannot be loaded by a program that runs on glibc"


def _folders() -> Iterator[Path]:
    yield from (Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder)
    yield from map(Path, _FOLDERS)
