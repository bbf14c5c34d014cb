"""Freezes the runtime into a folder: the program `loaf-runtime` and all it needs, Python included.

Knows PyInstaller. Refuses to know where the packages come from and how the folder is packed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.packages import complaints
from bundler.freeze.page import LICENSES, PACKAGES
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.paths import PAGE, PAGE_SOURCE, runtime_dir, templates_dir
from bundler.progress import Progress

EXECUTABLE = "loaf-runtime"
"""The program's name in the folder; templates/runtime.spec says it too."""


def freeze(python: Sequence[str | Path], page: Path | None, work: Path, log: Path, progress: Progress) -> Path:
    """Freezes the package `runtime`, with `page` in it, by the PyInstaller of the command `python`; returns the folder.

    Raises StepFailed.
    """
    return run_pyinstaller(python, "runtime.spec", _copy_of_runtime(work, page), work, log, progress)


def run_pyinstaller(
    python: Sequence[str | Path], spec: str, source: Path, work: Path, log: Path, progress: Progress
) -> Path:
    """Freezes what `spec`, one of our templates, says of `source`, by the command `python`; returns the folder.

    Raises StepFailed.
    """
    what = f"freezing the {spec.partition('.')[0]}"
    command: list[str | Path] = [*python, "-m", "PyInstaller", templates_dir() / spec, "--noconfirm"]
    command += ["--distpath", work / "dist", "--workpath", work / "build", "--", source]
    with progress.step(what.capitalize(), None, "steps") as advance:
        try:
            run(command, log=log, env=_reproducible(work), on_line=lambda _: advance(1))
        except CommandFailed as error:
            raise StepFailed(what, complaints(error.tail), log) from error
    return work / "dist" / "core"


def _copy_of_runtime(work: Path, page: Path | None) -> Path:
    """A folder with the package alone, so that nothing beside it is found and frozen by accident."""
    source = work / "source"
    left_out = {runtime_dir() / name for name in (PAGE, PAGE_SOURCE)}

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or Path(folder, name) in left_out]

    shutil.copytree(runtime_dir(), source / "runtime", ignore=ignored)
    if page is not None:
        shutil.copytree(page, source / "runtime" / PAGE, ignore=shutil.ignore_patterns(LICENSES, PACKAGES))
    return source


def _reproducible(work: Path) -> dict[str, str]:
    """What PyInstaller needs to write the same bytes again, and a cache of its own."""
    return clean_environment(
        PYTHONHASHSEED="0",
        SOURCE_DATE_EPOCH="0",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONNOUSERSITE="1",
        PYINSTALLER_CONFIG_DIR=str(work / "pyinstaller"),
        TMPDIR=str(work),
    )
