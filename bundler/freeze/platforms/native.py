"""This machine: its own compiler, its own Python, its own C library."""

from __future__ import annotations

import platform
from pathlib import Path

from bundler.freeze.c_library import c_library_of_this_machine
from bundler.freeze.environment import environment_key, freezing_environment, site_packages_of
from bundler.freeze.platforms.platform import Installed
from bundler.freeze.wheel import compiled_wheel, made_wheel
from bundler.progress import Progress
from bundler.store.cache import key_of


class Native:
    """Programs for machines like this one."""

    @property
    def name(self) -> str:
        """As `Platform` has it."""
        return f"{platform.system().lower()}-{platform.machine()}"

    def compiled_wheel(self, progress: Progress) -> Path:
        """As `Platform` has it."""
        return compiled_wheel(progress)

    def wheel_made(self) -> Path | None:
        """As `Platform` has it."""
        return made_wheel(platform.machine())

    def key(self, wheel: Path) -> str:
        """As `Platform` has it."""
        return key_of(environment=environment_key(wheel), c_library=c_library_of_this_machine().key())

    def installed(self, wheel: Path, progress: Progress) -> Installed:
        """As `Platform` has it."""
        python = freezing_environment(wheel, progress)
        return Installed(site_packages_of(python), c_library_of_this_machine(), lambda *_folders: [python])
