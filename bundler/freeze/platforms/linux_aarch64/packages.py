"""Python's packages for the other processor: the pinned ones, from the index, as wheels that are only unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path

from bundler.freeze.packages import new_environment, pip
from bundler.freeze.pins import LLAMA, pins
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

_TAGS = ("linux_aarch64", "manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 40)))
"""What wheels for it may be called: our own, and those for a glibc that was in use since there is Python for it
(PEP 600). One that asks for a newer glibc than is frozen with it is found when the program's needs are read."""

_NEEDS_BYTES = 250_000_000  # measured: 95 MB, and as much while pip unpacks


def packages_key() -> str:
    """Changes with what is installed; the Python that it is for follows from the system (`debian.py`)."""
    return key_of(packages=" ".join(_pins()), tags=" ".join(_TAGS))


def packages_folder(python_version: str, progress: Progress) -> Path:
    """The folder with all that is frozen but for llama-cpp-python, for a Python of this version ("3.11").

    Raises PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    key = key_of(packages=packages_key(), python=python_version)
    entry = cached("environment", key, lambda folder: _make(folder, python_version, progress), needs=_NEEDS_BYTES)
    return entry / _FOLDER


_FOLDER = "site-packages"


def _make(folder: Path, python_version: str, progress: Progress) -> None:
    log = log_file("environment-aarch64")
    log.unlink(missing_ok=True)
    tools, wanted = folder / "tools", _pins()
    python = new_environment(tools, log)
    arguments: list[str | Path] = ["install", "--no-deps", "--only-binary=:all:", "--no-compile"]
    arguments += ["--target", folder / _FOLDER, "--implementation", "cp", f"--python-version={python_version}"]
    arguments += [f"--platform={tag}" for tag in _TAGS]
    with progress.step("Installing what is frozen", len(wanted), "steps") as advance:
        pip(
            python,
            [*arguments, *wanted],
            step="installing what is frozen",
            wanted="what is frozen",
            log=log,
            on_line=lambda line: advance(line.startswith(("Collecting", "Processing"))),
        )
    shutil.rmtree(tools)


def _pins() -> tuple[str, ...]:
    return tuple(pin for pin in (*pins("runtime"), *pins("media"), *pins("freeze")) if not pin.startswith(f"{LLAMA}=="))
