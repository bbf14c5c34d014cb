"""llama.cpp's libraries, each compiled once per machine and version, so that they run on any processor of its kind.

Knows the flags, which libraries there are, and that each is kept by itself: what is missing is compiled, and who is
interrupted goes on where they were. Refuses to know which variants for processors are wanted, and what becomes of them.

There is a CPU backend for every generation of processors (GGML_CPU_ALL_VARIANTS), loaded at run time (GGML_BACKEND_DL)
by what the processor can do; none is tuned to the machine it was made on (GGML_NATIVE). No path of that machine stays
in one: ggml's assertions name their source file, so the compiler is told to write the work folder as `.`.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bundler.freeze.cmake import Project, build, compile_log, crossing
from bundler.freeze.compiler import Compiler
from bundler.freeze.corrections import CORRECTIONS, WITHOUT_SME, Correction
from bundler.freeze.pins import llama_version, pins
from bundler.freeze.sources import prepared_sources
from bundler.freeze.variants import knows_sme
from bundler.progress import Progress
from bundler.store.cache import build_cache, cached, is_cached, key_of, work_in_progress

FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_SHARED_LINKER_FLAGS=-s",
    "-DCMAKE_MODULE_LINKER_FLAGS=-s",
    "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU_ALL_VARIANTS=ON",
    "-DGGML_RPC=ON",
    "-DLLAMA_OPENSSL=OFF",
    "-DMTMD_VIDEO=OFF",
)
"""How llama.cpp is configured, and libmtmd (`mtmd.py`), which would start the system's ffmpeg with MTMD_VIDEO; part of
the libraries' key."""

_FIRST = 'set(LLAMA_BUILD_COMMON OFF CACHE BOOL "not in the package" FORCE)\nset(CMAKE_BUILD_WITH_INSTALL_RPATH TRUE)\n'
"""CMake reads this right after `project("llama.cpp")`. llama-cpp-python's own CMakeLists forces llama.cpp's `common`
library on, which nothing here uses: 57 of 443 steps, and heavy ones. And it has libraries look for others in the folder
that they were compiled in, until they are installed, which they never are."""

_PROCESSORS = "ggml/src/ggml-cpu/"
"""What lies here is compiled for the variants alone: for each of them, and for nothing else."""

RECIPE = " ".join((*FLAGS, _FIRST, repr([one for one in CORRECTIONS if not one.file.startswith(_PROCESSORS)])))
"""All that is told to CMake, and what is corrected before, as one text for a key."""

_FOR_VARIANTS = repr([one for one in CORRECTIONS if one.file.startswith(_PROCESSORS)])
"""What is corrected for the variants besides: who changes it need not compile the rest anew, packs for GPUs neither."""

_NEEDS_BYTES = 800_000_000  # sdist 77 MB, sources 217, tools 117, the rest objects and libraries
_ONE_NEEDS_BYTES = 20_000_000
_KEPT = 96  # a few MB each, and minutes to make again: twice all of both platforms, and more

_KIND = "library"
_LIBRARIES = {"ggml": ("ggml", "ggml-base", "ggml-rpc"), "llama": ("llama",)}
"""What every program has, by the name under which it is kept: CMake's targets, each of which becomes lib`target`.so."""

_VARIANT = "cpu-"

_PYTHON = "python"
"""llama-cpp-python's own modules, which lie in the same sources."""


def compiled_libraries(
    variants: Sequence[str], compiler: Compiler, machine: str, progress: Progress
) -> tuple[Path, ...]:
    """Folders with llama.cpp's libraries, those of the `variants` among them, and one with llama-cpp-python's modules.

    What the cache does not have is compiled. Raises PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    key = libraries_key(compiler, machine)
    targets = _targets(variants)
    if _missing(targets, key):
        with work_in_progress("compile", key_of(libraries=key, variants=_FOR_VARIANTS), needs=_NEEDS_BYTES) as work:
            missing = _missing(targets, key)  # another process may have compiled them meanwhile
            if missing:
                _compile(missing, work, key, compiler, machine, progress)
    return tuple(build_cache() / _KIND / _entry_key(name, key) for name in targets)


def are_compiled(variants: Sequence[str], compiler: Compiler, machine: str) -> bool:
    """Whether nothing is left to compile for them."""
    return not _missing(_targets(variants), libraries_key(compiler, machine))


def kept_library(key: str, make: Callable[[Path], None]) -> Path:
    """The folder `key` with another library, kept as long as these: made by `make(folder)` when there is none."""
    return cached(_KIND, key, make, needs=_ONE_NEEDS_BYTES, keep=_KEPT)


def libraries_key(compiler: Compiler, machine: str = platform.machine()) -> str:
    """Changes with everything that changes what is compiled, but for what only the variants have; not with which those
    are: what has the same key fits together.
    """
    more = _more_corrections(compiler, machine)
    return key_of(
        version=llama_version(),
        flags=f"{RECIPE} {more!r}" if more else RECIPE,
        compiler=f"{compiler.c} {compiler.cxx} {compiler.version}",
        tools=" ".join(pins("compile")),
        machine=machine,
        libc=" ".join(platform.libc_ver()),
    )


def _targets(variants: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """CMake's targets, by the name of the entry that their libraries are kept in."""
    return {_PYTHON: (), **_LIBRARIES, **{f"{_VARIANT}{name}": (f"ggml-cpu-{name}",) for name in variants}}


def _missing(targets: Mapping[str, tuple[str, ...]], key: str) -> dict[str, tuple[str, ...]]:
    return {name: those for name, those in targets.items() if not is_cached(_KIND, _entry_key(name, key))}


def _entry_key(name: str, key: str) -> str:
    if name.startswith(_VARIANT):
        return key_of(libraries=key, name=name, variants=_FOR_VARIANTS)
    return key_of(libraries=key, name=name)


def _more_corrections(compiler: Compiler, machine: str) -> tuple[Correction, ...]:
    return () if knows_sme(compiler, machine) else WITHOUT_SME


def _compile(
    missing: Mapping[str, tuple[str, ...]], work: Path, key: str, compiler: Compiler, machine: str, progress: Progress
) -> None:
    """Into `work`, which may hold what an interrupted run has left, and from there into the cache."""
    log = compile_log("compile", machine)
    log.unlink(missing_ok=True)
    progress.say(f"Compiling llama.cpp for {machine}, once on this machine; who interrupts it goes on where it was.")
    source = prepared_sources(work, log, progress, _more_corrections(compiler, machine))
    folder = work / "build"
    if wanted := tuple(target for targets in missing.values() for target in targets):
        first = work / "first.cmake"
        first.write_text(_FIRST)
        flags = (*FLAGS, *crossing(machine), f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={first}")
        build(Project("llama.cpp", source, flags, wanted), folder, compiler, log, progress)
    for name, targets in missing.items():
        take = partial(take_libraries, folder, targets) if targets else partial(_take_modules, source)
        kept_library(_entry_key(name, key), take)


def take_libraries(made: Path, targets: tuple[str, ...], folder: Path) -> None:
    """Into `folder`, out of the one that they were made in: each once, by the name by which others ask for it; what is
    called lib`target`.so then is a link to it.
    """
    for target in targets:
        plain = next(made.rglob(f"lib{target}.so"))
        asked_for = plain.readlink().name if plain.is_symlink() else plain.name
        shutil.copy(plain, folder / asked_for)
        if asked_for != plain.name:
            (folder / plain.name).symlink_to(asked_for)


def _take_modules(source: Path, folder: Path) -> None:
    """The package, and what makes an installed one of it."""
    shutil.copytree(source / "llama_cpp", folder / "llama_cpp", ignore=shutil.ignore_patterns("lib", "__pycache__"))
    for name in ("PKG-INFO", "LICENSE.md"):
        shutil.copy(source / name, folder)
