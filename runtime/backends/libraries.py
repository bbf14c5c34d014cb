"""Where the system keeps a shared library, found without loading it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = (
    f"/usr/lib/{platform.machine()}-linux-gnu",
    f"/lib/{platform.machine()}-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/lib",
    "/usr/local/lib",
    "/usr/local/cuda/lib64",
    "/opt/rocm/lib",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
)
"""Debian's and Fedora's ways, toolkits, WSL, NixOS. The loader's own cache has more, in a format of its own."""


def find_library(name: str) -> Path | None:
    """The file that asking for `name` most likely loads; None where there is none."""
    return next((path for folder in _folders() if (path := folder / name).exists()), None)


def _folders() -> Iterator[Path]:
    yield from (Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder)
    yield from map(Path, _FOLDERS)
