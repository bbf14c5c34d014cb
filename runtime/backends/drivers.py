"""What a driver is, by its files: while that stays the same, its devices are not asked for again.

Knows where Vulkan's drivers are listed (the loader's documentation, LoaderDriverInterface.md) and where the kernel
shows devices. Loads nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from runtime.backends.libraries import find_library
from runtime.bundle import Backend

_LIBRARIES: dict[Backend, tuple[str, ...]] = {
    "cuda": ("libcuda.so.1",),
    "rocm": ("libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so"),
    "vulkan": ("libvulkan.so.1",),
}
_VARIABLES = re.compile(r"(VK_|CUDA_|HIP_|ROCR_|MESA_|LD_LIBRARY_PATH$|XDG_(CONFIG|DATA)_)")
_DEVICES = ("/dev/dri", "/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/sys/class/drm")


def identity(backend: Backend, program: str) -> str:
    """Changes with the driver's files, the devices that the kernel shows, what steers a driver, and with `program`.

    A file is told by its place, size and time.
    """
    digest = hashlib.sha256(f"{backend} {program} {os.uname().release}\n".encode())
    for name, value in sorted(os.environ.items()):
        if _VARIABLES.match(name):
            digest.update(f"{name}={value}\n".encode())
    for path in _files(backend):
        digest.update(f"{path} {_stamp(path)}\n".encode())
    return digest.hexdigest()


def _files(backend: Backend) -> Iterator[Path]:
    libraries = [found for name in _LIBRARIES.get(backend, ()) if (found := find_library(name)) is not None]
    yield from libraries
    yield from map(Path, _DEVICES)
    yield Path("/proc/driver/nvidia/version")
    if backend == "vulkan":
        for manifest in _vulkan_manifests():
            yield manifest
            yield from _driver_of(manifest)


def _vulkan_manifests() -> Iterator[Path]:
    named = os.environ.get("VK_DRIVER_FILES") or os.environ.get("VK_ICD_FILENAMES")
    if named is not None:
        yield from map(Path, named.split(":"))
        return
    home = os.environ.get("HOME", "/")
    for base in (
        os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config",
        *(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"),
        "/etc",
        os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share",
        *(os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"),
    ):
        yield from sorted(Path(base, "vulkan", "icd.d").glob("*.json"))


def _driver_of(manifest: Path) -> Iterator[Path]:
    """The library that a driver's manifest names: a path, relative to the manifest, or a name to be searched for."""
    try:
        name = json.loads(manifest.read_text(encoding="utf-8"))["ICD"]["library_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    found = manifest.parent / name if "/" in str(name) else find_library(str(name))
    if found is not None:
        yield found


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "none"
    if path.is_dir():
        return " ".join(sorted(entry.name for entry in path.iterdir()))
    return f"{stat.st_size} {stat.st_mtime_ns}"
