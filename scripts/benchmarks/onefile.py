"""Freezes the runtime as PyInstaller's onefile, to be compared with; kept in the build cache.

Knows how bundler.freeze freezes, and differs from it in the spec alone: same packages, same files.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bundler.freeze.llama import compiled_package
from bundler.freeze.pins import RUNTIME
from bundler.freeze.pipeline import runtime_key
from bundler.freeze.platforms import this_platform
from bundler.freeze.process import clean_environment, run
from bundler.paths import runtime_dir, templates_dir
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

_SPEC = Path(__file__).with_name("onefile.spec")
_NAME = "loaf-onefile"
_NEEDS_BYTES = 250_000_000


def onefile_program(progress: Progress) -> Path:
    """The executable, frozen when the cache has none for this runtime. Raises what freezing raises."""
    llama = compiled_package(progress)
    key = key_of(runtime=runtime_key(this_platform(), llama), spec=_SPEC.read_text())
    entry = cached("onefile", key, lambda folder: _make(folder, llama, progress), needs=_NEEDS_BYTES)
    return entry / _NAME


def _make(folder: Path, llama: Path, progress: Progress) -> None:
    python = this_platform().installed(RUNTIME, progress, llama).python()
    work, log = folder / "work", log_file("onefile")
    log.unlink(missing_ok=True)
    source = work / "source"
    shutil.copytree(runtime_dir(), source / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    command: list[str | Path] = [*python, "-m", "PyInstaller", _SPEC, "--noconfirm"]
    command += ["--distpath", folder, "--workpath", work / "build", "--", templates_dir() / "runtime.spec", source]
    env = clean_environment(PYINSTALLER_CONFIG_DIR=str(work / "pyinstaller"), TMPDIR=str(work))
    with progress.step("Freezing the onefile to compare with", None, "steps") as advance:
        run(command, log=log, env=env, on_line=lambda _: advance(1))
    shutil.rmtree(work)
