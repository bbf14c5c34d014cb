"""What compiling each backend takes beside a C++ compiler, and whether this machine has it.

Knows where toolkits are installed and how they state their versions. Refuses to install anything.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import ToolchainMissing
from bundler.freeze.process import clean_environment
from bundler.store.cache import build_cache

OLDEST_VULKAN = (1, 3, 283)
"""Of the headers: ggml-vulkan.cpp names what came with it."""

_HEADER_VERSION = re.compile(r"^#define VK_HEADER_VERSION (\d+)$", re.MULTILINE)
_API_VERSION = re.compile(
    r"^#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(0, (\d+), (\d+), VK_", re.MULTILINE
)
_SYSTEM = Path("/usr")
_LIBRARY_FOLDERS = ("lib", "lib64", f"lib/{platform.machine()}-linux-gnu")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`version` changes with all that changes what is compiled; `flags` tell CMake where it is."""

    version: str
    flags: tuple[str, ...] = ()


def find_vulkan() -> Toolchain:
    """Headers, loader and shader compiler: of the SDK that VULKAN_SDK names, of the build cache's, or the system's.

    Raises ToolchainMissing, which names all that is missing at once.
    """
    roots = list(_vulkan_roots())
    headers = _first(roots, "include/vulkan/vulkan_core.h")
    version = _header_version(headers) if headers else None
    glslc = _command("glslc", roots)
    missing = []
    if version is None:
        missing.append("Vulkan's headers")
    elif version < OLDEST_VULKAN:
        missing.append(f"Vulkan headers {_dotted(OLDEST_VULKAN)} or newer ({headers} are {_dotted(version)})")
    if _first(roots, "include/spirv/unified1/spirv.hpp") is None:
        missing.append("SPIRV-Headers")
    if not any(_first(roots, f"{folder}/libvulkan.so") for folder in _LIBRARY_FOLDERS):
        missing.append("libvulkan.so to link against")
    if glslc is None:
        missing.append("the shader compiler glslc")
    if missing:
        raise ToolchainMissing(
            "vulkan",
            missing,
            "Debian 13, Ubuntu 24.10 and newer: apt install libvulkan-dev spirv-headers glslc; Debian 12: run "
            "scripts/vulkan-sdk --add-suite; Fedora: dnf install vulkan-headers vulkan-loader-devel "
            "spirv-headers-devel glslc; elsewhere LunarG's Vulkan SDK. VULKAN_SDK names the folder of one",
        )
    assert version is not None
    prefixes = ";".join(map(str, roots))
    return Toolchain(f"Vulkan {_dotted(version)}, {_first_line(str(glslc))}", (f"-DCMAKE_PREFIX_PATH={prefixes}",))


def find_cuda() -> Toolchain:
    """NVIDIA's toolkit: that of CUDA_HOME, else on PATH, else in /usr/local/cuda. Raises ToolchainMissing."""
    roots = _named_roots("CUDA_HOME", "/usr/local/cuda")
    nvcc = _command("nvcc", roots)
    missing = [] if nvcc else ["NVIDIA's compiler nvcc"]
    folders = (*_LIBRARY_FOLDERS, f"targets/{platform.machine()}-linux/lib")
    if not any(_first([*roots, _SYSTEM], f"{folder}/libcublas.so") for folder in folders):
        missing.append("libcublas.so to link against")
    if not any(_first([*roots, _SYSTEM], f"{folder}/stubs/libcuda.so") for folder in folders):
        missing.append("the toolkit's stub of libcuda.so")
    if missing:
        raise ToolchainMissing("cuda", missing, "install NVIDIA's CUDA toolkit, or name its folder in CUDA_HOME")
    return Toolchain(_last_line(str(nvcc)), (f"-DCMAKE_CUDA_COMPILER={nvcc}",))


def find_rocm() -> Toolchain:
    """AMD's toolkit: that of ROCM_PATH, else on PATH, else in /opt/rocm. Raises ToolchainMissing."""
    roots = _named_roots("ROCM_PATH", "/opt/rocm")
    hipcc = _command("hipcc", roots)
    if hipcc is None:
        raise ToolchainMissing("rocm", ["AMD's compiler hipcc"], "install ROCm, or name its folder in ROCM_PATH")
    return Toolchain(_first_line(str(hipcc)), (f"-DCMAKE_PREFIX_PATH={';'.join(map(str, roots))}",))


def find_metal() -> Toolchain:
    """Apple's: it compiles on macOS only, for which there is no runtime yet. Raises ToolchainMissing."""
    raise ToolchainMissing("metal", ["macOS"], "loaf makes bundles for Linux so far")


def _vulkan_roots() -> Iterator[Path]:
    if named := os.environ.get("VULKAN_SDK"):
        yield Path(named).absolute()
    yield build_cache() / "vulkan-sdk"  # scripts/vulkan-sdk puts one there
    yield from (Path("/usr/local"), Path("/usr"))


def _named_roots(variable: str, usual: str) -> list[Path]:
    return [Path(os.environ.get(variable) or usual)]


def _first(roots: list[Path], path: str) -> Path | None:
    return next((root / path for root in roots if (root / path).exists()), None)


def _command(name: str, roots: list[Path]) -> Path | None:
    folders = [str(root / "bin") for root in roots]
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)]))
    return Path(found) if found else None


def _header_version(headers: Path) -> tuple[int, int, int] | None:
    text = headers.read_text(encoding="utf-8", errors="replace")
    patch, version = _HEADER_VERSION.search(text), _API_VERSION.search(text)
    return (int(version[1]), int(version[2]), int(patch[1])) if patch and version else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _first_line(command: str) -> str:
    return (_version_of(command) or [""])[0]


def _last_line(command: str) -> str:
    return (_version_of(command) or [""])[-1]


def _version_of(command: str) -> list[str]:
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, env=clean_environment(), check=False)
    return shown.stdout.strip().splitlines()
