"""Compiles one backend's library with CMake. Refuses to know which flags and why."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.cmake import Project, build
from bundler.freeze.compiler import Compiler
from bundler.freeze.packages import complaints
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.freeze.sources import prepared_sources
from bundler.packs.recipes import Recipe
from bundler.progress import Progress

_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")

_IN_THE_RUNTIME = re.compile(r"(libggml|libstdc\+\+|libgcc_s|libgomp|libm\.|libc\.|libpthread|libdl|librt|ld-linux)")
"""What every frozen runtime brings, and what is part of the C library that it needs anyhow."""


def compile_library(
    recipe: Recipe, flags: tuple[str, ...], compiler: Compiler, work: Path, log: Path, progress: Progress
) -> Path:
    """Compiles the target of `recipe` and what it needs, nothing else; returns the stripped library.

    Raises PackagesUnreachable, StepFailed and PythonUnsuitable.
    """
    source = prepared_sources(work, log, progress) / "vendor" / "llama.cpp"
    folder, title = work / "build", f"the {recipe.title} backend"
    build(Project(title, source, flags, (recipe.target,)), folder, compiler, log, progress)
    library = next(folder.rglob(f"lib{recipe.target}.so"))
    try:
        run(["strip", "--strip-unneeded", library], log=log, env=clean_environment())
    except CommandFailed as error:
        raise StepFailed(f"compiling {title}", complaints(error.tail), log) from error
    return library


def needed_libraries(library: Path) -> tuple[str, ...]:
    """The libraries by which `library` asks for a driver or a toolkit: `libvulkan.so.1`."""
    shown = subprocess.run(
        ["readelf", "-d", str(library)], capture_output=True, text=True, env=clean_environment(), check=True
    )
    return tuple(name for name in _NEEDED.findall(shown.stdout) if not _IN_THE_RUNTIME.match(name))
