"""Compiles llama-cpp-python, once per machine and version, into a wheel that runs on any processor of its kind.

Knows the flags and how pip is told them. Refuses to know what becomes of the wheel.

The wheel holds a CPU backend for every generation of processors (GGML_CPU_ALL_VARIANTS), loaded at run time
(GGML_BACKEND_DL) by what the processor can do; none is tuned to the machine it was made on (GGML_NATIVE).
No path of that machine stays in it: ggml's assertions name their source file, so the compiler is told to
write the work folder as `.`.
"""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import ExitStack
from pathlib import Path

from bundler.errors import CompilerMissing
from bundler.freeze.compiler import Compiler, compile_environment, find_compiler, understands
from bundler.freeze.corrections import CORRECTIONS, WITHOUT_SME, Correction
from bundler.freeze.ninja import NinjaProgress
from bundler.freeze.packages import pip
from bundler.freeze.pins import llama_version, pins
from bundler.freeze.sources import build_tools, unpacked_sources
from bundler.progress import Progress
from bundler.store.cache import build_cache, cached, key_of, log_file

FLAGS = (
    "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_CPU_ALL_VARIANTS=ON",
    "-DGGML_RPC=ON",
    "-DLLAMA_OPENSSL=OFF",
)
"""How llama.cpp is configured; part of the wheel's key."""

_WITHOUT_COMMON = 'set(LLAMA_BUILD_COMMON OFF CACHE BOOL "not in the wheel" FORCE)\n'
"""CMake reads this right after `project("llama.cpp")`. The sdist forces llama.cpp's `common` library on,
which nothing in the wheel uses: 57 of 443 steps, and heavy ones."""

RECIPE = " ".join((*FLAGS, _WITHOUT_COMMON, repr(CORRECTIONS)))
"""All that is told to CMake, and what is corrected before, as one text for a key."""

_NEEDS_BYTES = 800_000_000  # sdist 77 MB, sources 217, tools 117, the rest objects and libraries
_KEPT = 32  # a few MB each, and minutes to make again
_CPU_MINUTES = 22  # measured: 23.5 with both cores shared with others


def compiled_wheel(progress: Progress, machine: str = platform.machine()) -> Path:
    """The wheel of the pinned llama-cpp-python for `machine`; compiled when the cache has none made on this one.

    Raises CompilerMissing, PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    compiler = find_compiler(machine)
    key = wheel_key(compiler, machine)

    def make(folder: Path) -> None:
        _make(folder, compiler, machine, progress)

    entry = cached("wheel", key, make, needs=_NEEDS_BYTES, keep=_KEPT)
    return next(entry.glob("*.whl"))


def made_wheel(machine: str) -> Path | None:
    """The wheel for `machine` where it has been compiled, and would not be again; else None."""
    try:
        key = wheel_key(find_compiler(machine), machine)
    except CompilerMissing:
        return None
    return next(build_cache().glob(f"wheel/{key}/*.whl"), None)


def wheel_key(compiler: Compiler, machine: str = platform.machine()) -> str:
    """Changes with everything that changes what is compiled."""
    more = _more_corrections(compiler, machine)
    return key_of(
        version=llama_version(),
        flags=f"{RECIPE} {more!r}" if more else RECIPE,
        compiler=f"{compiler.c} {compiler.cxx} {compiler.version}",
        tools=" ".join(pins("compile")),
        machine=machine,
        libc=" ".join(platform.libc_ver()),
    )


def _more_corrections(compiler: Compiler, machine: str) -> tuple[Correction, ...]:
    return WITHOUT_SME if machine == "aarch64" and not understands(compiler, "-march=armv9.2-a+sme") else ()


def _make(folder: Path, compiler: Compiler, machine: str, progress: Progress) -> None:
    is_here = machine == platform.machine()
    work, log = folder / "work", log_file("compile" if is_here else f"compile-{machine}")
    log.unlink(missing_ok=True)
    cores = len(os.sched_getaffinity(0))
    minutes = max(1, round(_CPU_MINUTES / cores))
    whose = "" if is_here else f" for {machine}"
    progress.say(f"Compiling llama.cpp{whose}, once on this machine: about {minutes} min on {cores} cores.")
    python = build_tools(work, log, progress)
    source = unpacked_sources(python, work, log, progress, _more_corrections(compiler, machine))
    environment = compile_environment(work, compiler, cores)
    if is_here:
        _compile(python, source, folder, FLAGS, environment, log, progress)
    else:
        # The variable is how Python itself is told, where it is compiled for another machine, what it is for.
        crossing = environment | {"_PYTHON_HOST_PLATFORM": f"linux-{machine}"}
        flags = (*FLAGS, "-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={machine}")
        _compile(python, source, folder, flags, crossing, log, progress)
    shutil.rmtree(work)


def _compile(
    python: Path,
    source: Path,
    target: Path,
    flags: tuple[str, ...],
    env: dict[str, str],
    log: Path,
    progress: Progress,
) -> None:
    defines = ";".join((*flags, f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={_write_without_common(source)}"))
    arguments: list[str | Path] = [
        "wheel",
        "--verbose",
        "--no-deps",
        "--no-build-isolation",
        "--no-cache-dir",
    ]
    arguments += [f"--config-settings=cmake.args={defines}", "--config-settings=install.strip=true"]
    arguments += ["--wheel-dir", target, source]
    with ExitStack() as bars:
        pip(
            python,
            arguments,
            step="compiling llama.cpp",
            wanted="the build tools",
            log=log,
            env=env,
            on_line=NinjaProgress("Compiling llama.cpp", progress, bars),
        )


def _write_without_common(source: Path) -> Path:
    script = source.parent / "without-common.cmake"
    script.write_text(_WITHOUT_COMMON)
    return script
