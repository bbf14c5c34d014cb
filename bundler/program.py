"""The frozen program on this machine: unpacked once, run without the launcher.

Knows where it lies and what it must not inherit. Refuses to know what it is asked.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from bundler.cache import cached
from bundler.copying import read
from bundler.plan import PlannedRuntime


def unpacked_program(runtime: PlannedRuntime) -> Path:
    """The program's file, in a folder that is kept for each runtime. Raises `CacheError`, `OSError`."""

    def unpack(folder: Path) -> None:
        packed = b"".join(read(runtime.core.content))
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            archive.extractall(folder)

    sha256 = runtime.core.sha256
    assert sha256 is not None, "programs come with their digest"
    folder = cached("program", sha256[:16], unpack, needs=runtime.about.unpacked_size)
    return folder / runtime.about.program


def program_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, **more}
