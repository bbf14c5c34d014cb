"""libmtmd, with which models see and hear: compiled by itself, against the libraries of llama.cpp that are there.

Models that do neither go without it, and it takes as long as two variants for processors. Knows the project that
stands in for llama.cpp's own (`templates/libmtmd`). Refuses to know who carries it (`media.py`).
"""

from __future__ import annotations

import platform
from functools import partial
from pathlib import Path

from bundler.freeze.cmake import Project, build, compile_log, crossing
from bundler.freeze.compiler import Compiler, find_compiler
from bundler.freeze.libraries import FLAGS, compiled_libraries, kept_library, libraries_key, take_libraries
from bundler.freeze.sources import prepared_sources
from bundler.paths import templates_dir
from bundler.progress import Progress
from bundler.store.cache import key_of, work_in_progress

_TARGET = "mtmd"
_NEEDS_BYTES = 600_000_000  # sdist 77 MB, sources 217, tools 117, objects


def compiled_mtmd(progress: Progress, machine: str = platform.machine()) -> Path:
    """The folder with libmtmd.so for `machine`, and under the name by which others ask for it; compiled where there is
    none.

    Raises CompilerMissing, PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    compiler = find_compiler(machine)
    project = templates_dir() / "libmtmd"
    key = key_of(libraries=libraries_key(compiler, machine), project=(project / "CMakeLists.txt").read_text())
    return kept_library(key, partial(_compile, project, key, compiler, machine, progress))


def _compile(project: Path, key: str, compiler: Compiler, machine: str, progress: Progress, entry: Path) -> None:
    _, ggml, llama = compiled_libraries((), compiler, machine, progress)
    log = compile_log("compile-mtmd", machine)
    log.unlink(missing_ok=True)
    with work_in_progress("compile", key, needs=_NEEDS_BYTES) as work:
        sources = prepared_sources(work, log, progress) / "vendor" / "llama.cpp"
        places = {"LLAMA_CPP": sources, "GGML_LIBRARIES": ggml, "LLAMA_LIBRARIES": llama}
        flags = (*FLAGS, *crossing(machine), *(f"-D{name}={folder}" for name, folder in places.items()))
        build(Project("libmtmd", project, flags, (_TARGET,)), work / "build", compiler, log, progress)
        take_libraries(work / "build", (_TARGET,), entry)
