"""Compiles llama-cpp-python, once per machine and version, into a wheel that runs on any processor.

Knows the compiler, the flags and the build tools. Refuses to know what becomes of the wheel.

The wheel holds a CPU backend for every generation of processors (GGML_CPU_ALL_VARIANTS), loaded at run time
(GGML_BACKEND_DL) by what the processor can do; none is tuned to the machine it was made on (GGML_NATIVE).
No path of that machine stays in it: ggml's assertions name their source file, so the compiler is told to
write the work folder as `.`.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bundler.cache import cached, key_of, log_file
from bundler.errors import CompilerMissing
from bundler.freeze.packages import install, new_environment, pip
from bundler.freeze.pins import LLAMA, llama_version, pins
from bundler.freeze.process import clean_environment
from bundler.progress import Advance, Progress

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

RECIPE = " ".join((*FLAGS, _WITHOUT_COMMON))
"""All that is told to CMake, as one text for a key."""

_NEEDS_BYTES = 800_000_000  # sdist 77 MB, sources 217, tools 117, the rest objects and libraries
_CPU_MINUTES = 22  # measured: 23.5 with both cores shared with others
_NINJA_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]")


@dataclass(frozen=True, slots=True)
class Compiler:
    """The C and C++ compilers, as commands, and the line by which the latter names its version."""

    c: str
    cxx: str
    version: str


def compiled_wheel(progress: Progress) -> Path:
    """The wheel of the pinned llama-cpp-python; compiled when the cache has none for this machine.

    Raises CompilerMissing, PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    compiler = find_compiler()
    key = wheel_key(compiler)
    entry = cached("wheel", key, lambda folder: _make(folder, compiler, progress), needs=_NEEDS_BYTES)
    return next(entry.glob("*.whl"))


def find_compiler() -> Compiler:
    """The compilers that CC and CXX name, else the system's. Raises CompilerMissing."""
    cxx = _command("CXX", ("c++", "g++", "clang++"))
    c = _command("CC", ("cc", "gcc", "clang"))
    return Compiler(c, cxx, _version_line(cxx))


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


def ninja_step(line: str) -> tuple[int, int] | None:
    """How far ninja is, (steps done, steps in all), when `line` of its output says so."""
    match = _NINJA_STEP.match(line)
    return (int(match[1]), int(match[2])) if match else None


def _make(folder: Path, compiler: Compiler, progress: Progress) -> None:
    work, log = folder / "work", log_file("compile")
    log.unlink(missing_ok=True)
    (work / "tmp").mkdir(parents=True)
    cores = len(os.sched_getaffinity(0))
    minutes = max(1, round(_CPU_MINUTES / cores))
    progress.say(f"Compiling llama.cpp, once on this machine: about {minutes} min on {cores} cores.")
    python = new_environment(work / "tools", log)
    install(python, pins("compile"), what="the build tools", log=log, progress=progress)
    source = _unpacked_sdist(python, work, log, progress)
    _compile(python, source, folder, _compile_environment(work, compiler, cores), log, progress)
    shutil.rmtree(work)


def _unpacked_sdist(python: Path, work: Path, log: Path, progress: Progress) -> Path:
    wanted, sdist = f"{LLAMA}=={llama_version()}", work / "sdist"
    with progress.step(f"Fetching {wanted}", None, "steps"):
        pip(
            python,
            ["download", "--no-deps", "--no-build-isolation", "--no-binary", LLAMA, "-d", sdist, wanted],
            step=f"fetching {wanted}",
            wanted=wanted,
            log=log,
            env=_tools_first(work),
        )
        shutil.unpack_archive(next(sdist.iterdir()), work / "source")
    return next((work / "source").iterdir())


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
            on_line=_NinjaProgress(progress, bars),
        )


def _write_without_common(source: Path) -> Path:
    script = source.parent / "without-common.cmake"
    script.write_text(_WITHOUT_COMMON)
    return script


class _NinjaProgress:
    """Opens a bar with ninja's first `[n/m]` line, and moves it with the others."""

    def __init__(self, progress: Progress, bars: ExitStack) -> None:
        self._progress = progress
        self._bars = bars
        self._advance: Advance | None = None
        self._done = 0

    def __call__(self, line: str) -> None:
        step = ninja_step(line)
        if step is None:
            return
        done, total = step
        if self._advance is None:
            bar = self._progress.step("Compiling llama.cpp", total, "steps")
            self._advance = self._bars.enter_context(bar)
        self._advance(done - self._done)
        self._done = done


def _compile_environment(work: Path, compiler: Compiler, cores: int) -> dict[str, str]:
    no_paths = shlex.quote(f"-ffile-prefix-map={work}=.")
    return _tools_first(work) | {
        "CC": compiler.c,
        "CXX": compiler.cxx,
        "CFLAGS": no_paths,
        "CXXFLAGS": no_paths,
        "CMAKE_GENERATOR": "Ninja",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(cores),
        "SOURCE_DATE_EPOCH": "0",
    }


def _tools_first(work: Path) -> dict[str, str]:
    path = f"{work / 'tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return clean_environment(PATH=path, TMPDIR=str(work / "tmp"))


def _command(variable: str, usual: tuple[str, ...]) -> str:
    named = os.environ.get(variable)
    for command in (named,) if named else usual:
        if shutil.which(shlex.split(command)[0]):
            return command
    raise CompilerMissing(named or usual[0])


def _version_line(command: str) -> str:
    argv = [*shlex.split(command), "--version"]
    shown = subprocess.run(argv, capture_output=True, text=True, env=clean_environment(), check=False)
    return shown.stdout.partition("\n")[0]
