"""Compiles llama-cpp-python, once per machine and version, into a wheel that runs on any processor.

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

from bundler.freeze.compiler import Compiler, compile_environment, find_compiler
from bundler.freeze.corrections import CORRECTIONS
from bundler.freeze.ninja import NinjaProgress
from bundler.freeze.packages import pip
from bundler.freeze.pins import llama_version, pins
from bundler.freeze.sources import build_tools, unpacked_sources
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

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


def compiled_wheel(progress: Progress) -> Path:
    """The wheel of the pinned llama-cpp-python; compiled when the cache has none for this machine.

    Raises CompilerMissing, PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    compiler = find_compiler()
    key = wheel_key(compiler)
    entry = cached("wheel", key, lambda folder: _make(folder, compiler, progress), needs=_NEEDS_BYTES, keep=_KEPT)
    return next(entry.glob("*.whl"))


def wheel_key(compiler: Compiler) -> str:
    """Changes with everything that changes what is compiled."""
    return key_of(
        version=llama_version(),
        flags=RECIPE,
        compiler=f"{compiler.c} {compiler.cxx} {compiler.version}",
        tools=" ".join(pins("compile")),
        machine=platform.machine(),
        libc=" ".join(platform.libc_ver()),
    )


def _make(folder: Path, compiler: Compiler, progress: Progress) -> None:
    work, log = folder / "work", log_file("compile")
    log.unlink(missing_ok=True)
    cores = len(os.sched_getaffinity(0))
    minutes = max(1, round(_CPU_MINUTES / cores))
    progress.say(f"Compiling llama.cpp, once on this machine: about {minutes} min on {cores} cores.")
    python = build_tools(work, log, progress)
    source = unpacked_sources(python, work, log, progress)
    _compile(python, source, folder, compile_environment(work, compiler, cores), log, progress)
    shutil.rmtree(work)


def _compile(python: Path, source: Path, target: Path, env: dict[str, str], log: Path, progress: Progress) -> None:
    defines = ";".join((*FLAGS, f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={_write_without_common(source)}"))
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
