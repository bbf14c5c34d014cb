"""The frozen program on this machine, run without the launcher.

Knows where it lies, which C library it takes there, and what it must not inherit. Refuses to know what it is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from bundler.errors import FrozenFileUnsuitable
from bundler.file.copying import read
from bundler.file.launcher import LOADERS
from bundler.file.plan import PlannedRuntime
from bundler.freeze.c_library import FOLDER
from bundler.freeze.elf import Unalterable, placed
from bundler.store.unpacking import unpacked


def unpacked_program(runtime: PlannedRuntime) -> Path:
    """The program's file, in a folder that is kept for each runtime. Raises `CacheError`, `OSError`.

    As the launcher does (templates/launcher.sh), it takes the system's C library where that is new enough, and else a
    copy that uses the one which came along.
    """
    sha256, content = runtime.core.sha256, runtime.core.content
    assert sha256 is not None, "programs come with their digest"
    folder = unpacked(sha256, runtime.about.unpacked_size, lambda: b"".join(read(content)))
    program = folder / runtime.about.program
    have = _system_glibc(LOADERS[runtime.about.platform])
    if (folder / FOLDER).is_dir() and (have is None or have < _numbers(runtime.about.glibc)):
        return _with_own_c_library(program)
    return program


def program_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, **more}


def _system_glibc(loader: str) -> tuple[int, ...] | None:
    """The version of the C library that the system has; None: none, or one that tells no version."""
    try:
        said = subprocess.run([loader, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r" release version (\d+\.\d+)", said)
    return _numbers(found[1]) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _with_own_c_library(program: Path) -> Path:
    """A copy for the place where `program` lies: full paths are in it. Its suffix says what it is to the program."""
    folder = program.parent
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    copy = folder / f"{program.name}.{place}"
    if not copy.exists():
        loader = next((folder / FOLDER).glob("ld-linux*"))
        try:
            content = placed(program.read_bytes(), f"{folder / FOLDER}:{folder / '_internal'}", str(loader))
        except Unalterable as error:
            raise FrozenFileUnsuitable(program, str(error)) from error
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o755)
        Path(file.name).rename(copy)
    return copy
