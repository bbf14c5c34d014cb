"""This machine: its own compiler, its own Python, its own C library."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from bundler.freeze.c_library import c_library_of_this_machine
from bundler.freeze.environment import environment_key, freezing_environment, site_packages_of
from bundler.freeze.llama import compiled_package, made_package
from bundler.freeze.mtmd import compiled_mtmd
from bundler.freeze.pins import Frozen
from bundler.freeze.platforms.platform import Installed
from bundler.progress import Progress
from bundler.store.cache import key_of


class Native:
    """Programs for machines like this one."""

    @property
    def name(self) -> str:
        """As `Platform` has it."""
        return f"{platform.system().lower()}-{platform.machine()}"

    def compiled_package(self, progress: Progress, *, complete: bool = False) -> Path:
        """As `Platform` has it."""
        return compiled_package(progress, complete=complete)

    def package_made(self, *, complete: bool = False) -> Path | None:
        """As `Platform` has it."""
        return made_package(platform.machine(), complete=complete)

    def compiled_mtmd(self, progress: Progress) -> Path:
        """As `Platform` has it."""
        return compiled_mtmd(progress)

    def key(self, frozen: Frozen) -> str:
        """As `Platform` has it."""
        return key_of(environment=environment_key(frozen), c_library=c_library_of_this_machine().key())

    def install(self, frozen: Frozen, progress: Progress) -> None:
        """As `Platform` has it."""
        freezing_environment(frozen, progress)

    def installed(self, frozen: Frozen, progress: Progress, *compiled: Path) -> Installed:
        """As `Platform` has it."""
        python = freezing_environment(frozen, progress)
        command: list[str | Path] = ["env", f"PYTHONPATH={os.pathsep.join(map(str, compiled))}", python]
        return Installed((site_packages_of(python), *compiled), c_library_of_this_machine(), lambda *_: command)
