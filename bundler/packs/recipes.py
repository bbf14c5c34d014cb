"""How each of ggml's backends is compiled into a pack: one table.

Knows CMake's options and targets (ggml/src/ggml-*/CMakeLists.txt). Refuses to know how they are run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from bundler.errors import NoSuchPack
from bundler.packs.toolchains import Toolchain, find_cuda, find_metal, find_rocm, find_vulkan
from runtime.bundle import Backend

COMMON_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DCMAKE_SKIP_RPATH=ON",
    "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_COMMON=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
)
"""For every pack: the settings of the other libraries, and nothing but what the backend's target needs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the pack of `backend` is made.

    `switches` turn the backend on, `target` is CMake's name of its library. `find_toolchain` raises `ToolchainMissing`.
    `chips_flag` is CMake's name of the list of chips to compile for, where a backend has one, and `chips` that list;
    None: ggml's own. `tested`: whether what it makes has been run. `cpu_minutes` is how long compiling takes, where
    that was measured.
    """

    backend: Backend
    title: str
    switches: tuple[str, ...]
    target: str
    find_toolchain: Callable[[], Toolchain]
    chips_flag: str | None = None
    chips: str | None = None
    tested: bool = False
    cpu_minutes: int | None = None

    @property
    def is_of_this_system(self) -> bool:
        """Whether systems of this kind could have it."""
        return self.backend != "metal" or sys.platform == "darwin"

    @property
    def flags(self) -> tuple[str, ...]:
        """All that CMake is told, but where the toolchain is."""
        chips = () if self.chips is None else (f"-D{self.chips_flag}={self.chips}",)
        return (*COMMON_FLAGS, *self.switches, *chips)


RECIPES = (
    # Where NCCL is found on the building machine, the library would ask for it on every other one.
    Recipe(
        "cuda",
        "CUDA",
        ("-DGGML_CUDA=ON", "-DGGML_CUDA_NCCL=OFF"),
        "ggml-cuda",
        find_cuda,
        chips_flag="CMAKE_CUDA_ARCHITECTURES",
    ),
    Recipe("rocm", "ROCm", ("-DGGML_HIP=ON",), "ggml-hip", find_rocm, chips_flag="GPU_TARGETS"),
    Recipe("metal", "Metal", ("-DGGML_METAL=ON",), "ggml-metal", find_metal),
    Recipe("vulkan", "Vulkan", ("-DGGML_VULKAN=ON",), "ggml-vulkan", find_vulkan, tested=True, cpu_minutes=7),
)


def find_recipe(wanted: str) -> Recipe:
    """The recipe for `BACKEND`, or `BACKEND:CHIPS` with a list as CMake has it. Raises `NoSuchPack`."""
    backend, colon, chips = wanted.partition(":")
    for recipe in RECIPES:
        if recipe.backend == backend and (not colon or (chips and recipe.chips_flag)):
            return replace(recipe, chips=chips or None)
    raise NoSuchPack(wanted, [recipe.backend for recipe in RECIPES])
