"""Python's packages for the other processor: the pinned ones, from the index, as wheels that are only unpacked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bundler.freeze.packages import new_environment, pip
from bundler.freeze.pins import Frozen, pins_of
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

_TAGS = ("linux_aarch64", "manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 40)))
"""What wheels for it may be called: our own, and those for a glibc that was in use since there is Python for it
(PEP 600). One that asks for a newer glibc than is frozen with it is found when the program's needs are read."""

_NEEDS_BYTES = 250_000_000  # measured: 95 MB, and as much while pip unpacks


def packages_key(frozen: Frozen) -> str:
    """Changes with what is installed; the Python that it is for follows from the system (`debian.py`)."""
    return key_of(packages=" ".join(pins_of(frozen)), tags=" ".join(_TAGS))


def packages_folder(frozen: Frozen, python_version: str, progress: Progress) -> Path:
    """The folder with the packages that `frozen` is made of, for a Python of this version ("3.11").

    Raises PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    key = key_of(packages=packages_key(frozen), python=python_version)
    make = partial(_make, wanted=pins_of(frozen), python_version=python_version, progress=progress)
    entry = cached("environment", key, make, needs=_NEEDS_BYTES)
    return entry / _FOLDER


def into(folder: Path, python_version: str) -> list[str | Path]:
    """pip's flags that unpack wheels for the other processor, and a Python of this version ("3.11"), into `folder`."""
    flags: list[str | Path] = ["--only-binary=:all:", "--no-compile", "--target", folder]
    flags += ["--implementation", "cp", f"--python-version={python_version}"]
    return [*flags, *(f"--platform={tag}" for tag in _TAGS)]


_FOLDER = "site-packages"


def _make(folder: Path, wanted: Sequence[str], python_version: str, progress: Progress) -> None:
    log = log_file("environment-aarch64")
    log.unlink(missing_ok=True)
    tools = folder / "tools"
    python = new_environment(tools, log)
    with progress.step("Installing what is frozen", len(wanted), "steps") as advance:
        pip(
            python,
            ["install", "--no-deps", *into(folder / _FOLDER, python_version), *wanted],
            step="installing what is frozen",
            wanted="what is frozen",
            log=log,
            on_line=lambda line: advance(line.startswith(("Collecting", "Processing"))),
        )
    shutil.rmtree(tools)
