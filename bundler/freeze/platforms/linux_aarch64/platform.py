"""The verbs: what `native.py` does, with a compiler for the other processor, and a Python that is emulated."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bundler.errors import PlatformUnmakeable
from bundler.freeze.llama import compiled_package, made_package
from bundler.freeze.mtmd import compiled_mtmd
from bundler.freeze.pins import Frozen
from bundler.freeze.platforms.linux_aarch64.debian import DebianRoot, debian_key, debian_root
from bundler.freeze.platforms.linux_aarch64.packages import packages_folder, packages_key
from bundler.freeze.platforms.platform import Installed
from bundler.progress import Progress
from bundler.store.cache import key_of

_MACHINE = "aarch64"
_TOOLS = {
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "proot": "proot",
    "qemu-aarch64": "qemu-user",
    "apt-get": "apt",
    "dpkg": "dpkg",
}
"""Commands, and Debian's packages that bring them."""


class LinuxAarch64:
    """Programs for Linux on 64-bit ARM."""

    name = "linux-aarch64"

    def compiled_package(self, progress: Progress, *, complete: bool = False) -> Path:
        """As `Platform` has it. Raises `PlatformUnmakeable` also."""
        self._check()
        return compiled_package(progress, _MACHINE, complete=complete)

    def package_made(self, *, complete: bool = False) -> Path | None:
        """As `Platform` has it."""
        return made_package(_MACHINE, complete=complete)

    def compiled_mtmd(self, progress: Progress) -> Path:
        """As `Platform` has it. Raises `PlatformUnmakeable` also."""
        self._check()
        return compiled_mtmd(progress, _MACHINE)

    def key(self, frozen: Frozen) -> str:
        """As `Platform` has it."""
        return key_of(packages=packages_key(frozen), system=debian_key())

    def install(self, frozen: Frozen, progress: Progress) -> None:
        """As `Platform` has it. Raises `PlatformUnmakeable` also."""
        self._check()
        packages_folder(frozen, debian_root(progress).python_version, progress)

    def installed(self, frozen: Frozen, progress: Progress, *compiled: Path) -> Installed:
        """As `Platform` has it. Raises `PlatformUnmakeable` also."""
        self._check()
        root = debian_root(progress)
        packages = (packages_folder(frozen, root.python_version, progress), *compiled)
        return Installed(packages, root.c_library, lambda *folders: _emulated(root, packages, folders))

    def _check(self) -> None:
        if missing := [command for command in _TOOLS if shutil.which(command) is None]:
            packages = " ".join(_TOOLS[command] for command in missing)
            raise PlatformUnmakeable(self.name, missing, f"Debian: apt install {packages}")


def _emulated(root: DebianRoot, packages: tuple[Path, ...], folders: tuple[Path, ...]) -> list[str | Path]:
    shown = (Path("/dev"), Path("/proc"), *packages, *folders)
    binds = [part for folder in shown for part in ("-b", str(folder))]
    proot = ["proot", "-q", "qemu-aarch64", "-r", str(root.folder), *binds, "-w", os.sep]
    return [*proot, "/usr/bin/env", f"PYTHONPATH={os.pathsep.join(map(str, packages))}", f"/usr/bin/{root.python}"]
