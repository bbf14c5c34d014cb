"""A system's C library, put into a frozen program that runs where there is an older one, or none.

Knows which files glibc is, and which of them programs and drivers load. Refuses to know when it is used: the launcher
decides that (templates/launcher.sh), and writes into the program where it lies (`elf.py`).
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import FrozenFileUnsuitable, PythonUnsuitable
from bundler.freeze.elf import Unalterable, loader_of, with_inherited_path, with_room

FOLDER = "glibc"
"""Beside the program; templates/launcher.sh says it too."""

_NAMES = (
    *("libc.so.6", "libm.so.6"),
    *("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libanl.so.1"),
    "libresolv.so.2",
    *("libnss_files.so.2", "libnss_dns.so.2", "libnss_compat.so.2"),
)
"""What is loaded together must be of one glibc. Since 2.34 those of the second line are empty, and are still asked for;
the last are what `getaddrinfo` and `getpwuid` load, where /etc/nsswitch.conf says so."""

_SYSTEMS_OWN = "$ORIGIN/_internal"
"""Where the program looks first while it uses the system's C library: what PyInstaller's start-up needs is there."""


@dataclass(frozen=True, slots=True)
class CLibrary:
    """That of one system: the `folder` of its files, and the `loader` that belongs to it."""

    folder: Path
    loader: Path

    def files(self) -> list[Path]:
        """Those of `_NAMES` that there are."""
        return [self.folder / name for name in _NAMES if (self.folder / name).exists()]

    def key(self) -> str:
        """Changes with what is in it."""
        digest = hashlib.sha256()
        for path in self.files():
            digest.update(path.read_bytes())
        return digest.hexdigest()


def add_c_library(core: Path, executable: str, library: CLibrary) -> None:
    """Put `library` into the frozen folder `core`, and room for its place into the program `executable`.

    All libraries in the folder then look for others where the program does. Raises `FrozenFileUnsuitable`.
    """
    program = core / executable
    _change(program, lambda content: with_room(content, _SYSTEMS_OWN))
    for path in core.rglob("*"):
        if path.is_file() and not path.is_symlink() and path != program:
            _change(path, with_inherited_path)
    folder = core / FOLDER
    folder.mkdir()
    for source in library.files():
        shutil.copyfile(source, folder / source.name)
    loader = folder / Path(loader_of(program.read_bytes())).name
    shutil.copyfile(library.loader, loader)
    loader.chmod(0o755)  # the kernel starts it; the others are only mapped


def c_library_of_this_machine() -> CLibrary:
    """The one that this process uses. Raises `PythonUnsuitable`."""
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    folders = [Path(path).parent for path in mapped if Path(path).name.startswith(("libc.so.6", "libc-2"))]
    if not folders or not (folders[0] / "libc.so.6").exists():
        raise PythonUnsuitable(sys.executable, "C library glibc", "build where Python runs on glibc (not on Alpine)")
    return CLibrary(folders[0], Path(loader_of(Path(sys.executable).read_bytes())))


def _change(path: Path, changed: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    try:
        after = changed(before)
    except Unalterable as error:
        raise FrozenFileUnsuitable(path, str(error)) from error
    if after != before:
        path.write_bytes(after)
