"""The private environments in which programs are frozen: the pinned packages and nothing of the user's.

Knows what is installed. Refuses to know PyInstaller.
"""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bundler.errors import PythonUnsuitable, StepFailed
from bundler.freeze.packages import install, new_environment, pip_for
from bundler.freeze.pins import Frozen, pins_of
from bundler.freeze.process import CommandFailed, clean_environment, run
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

UNUSED = ("hf-xet", "cffi", "numpy")
"""What packages ask for and do without here: huggingface_hub the first, which is larger than all others in the builder;
soundfile, of which only the library is taken, the others."""

_NEEDS_BYTES = 250_000_000  # measured: 101 MB, and as much while pip unpacks


def freezing_environment(frozen: Frozen, progress: Progress) -> Path:
    """The interpreter of an environment with the pinned packages that `frozen` is made of.

    Run modules with it (`python -m`): the scripts beside it name a folder that has been renamed since.
    Raises PythonUnsuitable, PackagesUnreachable, StepFailed and CacheError.
    """
    check_python()
    packages = pins_of(frozen)
    make = partial(_make, packages=packages, progress=progress)
    entry = cached("environment", environment_key(frozen), make, needs=_NEEDS_BYTES)
    return entry / "bin" / "python"


def site_packages_of(python: Path) -> Path:
    """Where the environment of `python` keeps its packages."""
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def environment_key(frozen: Frozen) -> str:
    """Changes with everything that is installed."""
    return key_of(
        packages=" ".join(pins_of(frozen)),
        python=f"{sys.version} {sys.base_prefix}",
        machine=platform.machine(),
    )


def check_python() -> None:
    """Raises PythonUnsuitable when the Python that runs this lacks the shared library that is frozen."""
    name = str(sysconfig.get_config_var("INSTSONAME"))
    if name.endswith(".a"):
        name = f"libpython{_short_version()}.so.1.0"
    folders = (sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", f"{sys.base_prefix}/lib64")
    if not any((Path(str(folder)) / name).exists() for folder in folders):
        raise PythonUnsuitable(
            f"{sys.base_prefix}/bin/python{_short_version()}",
            f"shared library {name}",
            f"install it (Debian, Ubuntu: apt install libpython{_short_version()}; pyenv: build Python with "
            "PYTHON_CONFIGURE_OPTS=--enable-shared)",
        )


def _make(folder: Path, packages: Sequence[str], progress: Progress) -> None:
    log = log_file("environment")
    log.unlink(missing_ok=True)
    python = new_environment(folder, log)
    install(python, packages, what="what is frozen", log=log, progress=progress)
    _check_complete(python, log)


def _check_complete(python: Path, log: Path) -> None:
    """Raises StepFailed when a package asks for one that is not pinned, but for those that are never used."""
    try:
        run([*pip_for(python), "check"], log=log, env=clean_environment())
    except CommandFailed as error:
        missing = [line for line in error.tail if not line.endswith(_EXPECTED)]
        if missing:
            raise StepFailed("checking the pinned packages", "\n".join(missing), log) from error


_EXPECTED = tuple(f"requires {name}, which is not installed." for name in UNUSED)


def _short_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
