"""llama.cpp's sources, as llama-cpp-python's sdist brings them, and the pinned tools that compile them.

Programs and packs are compiled from the same sources, so a pack's library fits the runtime's. Refuses to know how.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.corrections import Correction, correct
from bundler.freeze.packages import install, new_environment, pip
from bundler.freeze.pins import LLAMA, LLAMA_CPP_COMMIT, llama_version, pins
from bundler.freeze.process import clean_environment
from bundler.progress import Progress

_TOOLS = "tools"


def prepared_sources(work: Path, log: Path, progress: Progress, more: tuple[Correction, ...] = ()) -> Path:
    """The folder with the pinned sdist's content, corrected, and CMake, Ninja and what else compiles in `work`/tools.

    `more` is corrected besides what always is. llama.cpp itself is in `vendor/llama.cpp` there. What a run before has
    prepared in `work` stays. Raises PythonUnsuitable, PackagesUnreachable and StepFailed.
    """
    is_ready = work / "ready"
    if not is_ready.exists():
        for name in (_TOOLS, "tmp", "sdist", "source"):
            shutil.rmtree(work / name, ignore_errors=True)
        (work / "tmp").mkdir(parents=True)
        python = new_environment(work / _TOOLS, log)
        install(python, pins("compile"), what="the build tools", log=log, progress=progress)
        correct(_unpacked(python, work, log, progress) / "vendor" / "llama.cpp", log, more)
        is_ready.touch()
    return next((work / "source").iterdir())


def _unpacked(python: Path, work: Path, log: Path, progress: Progress) -> Path:
    wanted, sdist = f"{LLAMA}=={llama_version()}", work / "sdist"
    with progress.step(f"Fetching {wanted}", None, "steps"):
        pip(
            python,
            ["download", "--no-deps", "--no-build-isolation", "--no-binary", LLAMA, "-d", sdist, wanted],
            step=f"fetching {wanted}",
            wanted=wanted,
            log=log,
            env=tools_first(work),
        )
        shutil.unpack_archive(next(sdist.iterdir()), work / "source")
    shutil.rmtree(sdist)
    sources = next((work / "source").iterdir())
    commit = llama_cpp_commit(sources)
    if commit != LLAMA_CPP_COMMIT:
        raise StepFailed(f"fetching {wanted}", f"it brings llama.cpp {commit}, and not {LLAMA_CPP_COMMIT}", log)
    return sources


def llama_cpp_commit(sources: Path) -> str:
    """Which llama.cpp the sdist that was unpacked to `sources` brings: it keeps the submodule's HEAD."""
    return (sources / ".git" / "modules" / "vendor" / "llama.cpp" / "HEAD").read_text().strip()


def tools_first(work: Path) -> dict[str, str]:
    """An environment in which the tools of `work` are found before the system's."""
    path = f"{work / _TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return clean_environment(PATH=path, TMPDIR=str(work / "tmp"))
