"""The wheel and the sdist, by hatchling and twine in an environment of their own.

Knows that both tools take their times from SOURCE_DATE_EPOCH. Refuses to know what is in the packages (pyproject.toml).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.packages import complaints, new_environment, pip
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.paths import PAGE
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

TOOLS = ("hatchling==1.33.0", "twine==7.0.0")
_NEEDS_BYTES = 100_000_000
_1980 = "315532800"
"""The earliest time that a ZIP archive, which a wheel is, can hold."""


def copy_of_the_checkout(root: Path, target: Path) -> Path:
    """What is committed, and the page that was built of it, so that who has no Node.js has it too."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=root, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(target)
    page = root / "runtime" / PAGE
    if page.is_dir():
        shutil.copytree(page, target / "runtime" / PAGE)
    return target


def make_sdist(source: Path, output: Path, progress: Progress) -> None:
    """Raises `StepFailed`, and as pip does."""
    _build("sdist", source, output, progress)


def make_wheel(source: Path, output: Path, progress: Progress) -> None:
    """Raises as `make_sdist` does."""
    _build("wheel", source, output, progress)


def check_metadata(output: Path, progress: Progress) -> None:
    """`twine check --strict`. Raises as `make_sdist` does."""
    packages = [path for path in sorted(output.iterdir()) if path.suffix in (".whl", ".gz")]
    _run([_python(progress), "-m", "twine", "check", "--strict", *packages], "checking the packages")


def _build(kind: str, source: Path, output: Path, progress: Progress) -> None:
    python = _python(progress)
    _same_permissions(source)
    with progress.step(f"Making the {kind}", None, "steps"):
        command: list[str | Path] = [python, "-m", "hatchling", "build", "-t", kind, "-d", output.absolute()]
        _run(command, f"making the {kind}", source)


def _run(command: list[str | Path], step: str, folder: Path | None = None) -> None:
    log = log_file("release")
    environment = clean_environment(SOURCE_DATE_EPOCH=_1980, PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1")
    try:
        run(command, log=log, env=environment, cwd=folder)
    except CommandFailed as error:
        raise StepFailed(step, complaints(error.tail), log) from error


def _same_permissions(folder: Path) -> None:
    """Whatever this user's umask is."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _python(progress: Progress) -> Path:
    def make(folder: Path) -> None:
        log = log_file("release")
        with progress.step("Installing what makes packages", None, "steps"):
            pip(new_environment(folder, log), ["install", *TOOLS], step="installing", wanted="what does that", log=log)

    return cached("release-tools", key_of(tools=" ".join(TOOLS)), make, needs=_NEEDS_BYTES) / "bin/python"
