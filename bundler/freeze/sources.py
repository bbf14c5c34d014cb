"""llama.cpp's sources, as llama-cpp-python's sdist brings them, and the pinned tools that compile them.

The wheel and the packs are compiled from the same sources, so a pack's library fits the runtime's. Refuses to know how.
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


def build_tools(work: Path, log: Path, progress: Progress) -> Path:
    """Installs CMake, Ninja and what else compiles into `work`/tools; returns the interpreter there.

    Raises PythonUnsuitable, PackagesUnreachable and StepFailed.
    """
    (work / "tmp").mkdir(parents=True)
    python = new_environment(work / "tools", log)
    install(python, pins("compile"), what="the build tools", log=log, progress=progress)
    return python


def unpacked_sources(
    python: Path, work: Path, log: Path, progress: Progress, more: tuple[Correction, ...] = ()
) -> Path:
    """Fetches the pinned sdist with the pip of `build_tools`, and corrects it; returns the folder that it unpacks to.

    `more` is corrected besides what always is.

    llama.cpp itself is in `vendor/llama.cpp` there. Raises PackagesUnreachable and StepFailed.
    """
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
    sources = next((work / "source").iterdir())
    commit = llama_cpp_commit(sources)
    if commit != LLAMA_CPP_COMMIT:
        raise StepFailed(f"fetching {wanted}", f"it brings llama.cpp {commit}, and not {LLAMA_CPP_COMMIT}", log)
    correct(sources / "vendor" / "llama.cpp", log, more)
    return sources


def llama_cpp_commit(sources: Path) -> str:
    """Which llama.cpp the sdist that was unpacked to `sources` brings: it keeps the submodule's HEAD."""
    return (sources / ".git" / "modules" / "vendor" / "llama.cpp" / "HEAD").read_text().strip()


def tools_first(work: Path) -> dict[str, str]:
    """An environment in which the tools of `work` are found before the system's."""
    path = f"{work / 'tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return clean_environment(PATH=path, TMPDIR=str(work / "tmp"))
