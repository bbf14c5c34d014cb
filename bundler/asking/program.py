"""The frozen program on this machine, run without the launcher.

Knows where it lies and what it must not inherit. Refuses to know what it is asked.
"""

from __future__ import annotations

import os
from pathlib import Path

from bundler.file.copying import read
from bundler.file.plan import PlannedRuntime
from bundler.store.unpacking import unpacked


def unpacked_program(runtime: PlannedRuntime) -> Path:
    """The program's file, in a folder that is kept for each runtime. Raises `CacheError`, `OSError`."""
    sha256, content = runtime.core.sha256, runtime.core.content
    assert sha256 is not None, "programs come with their digest"
    folder = unpacked(sha256, runtime.about.unpacked_size, lambda: b"".join(read(content)))
    return folder / runtime.about.program


def program_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, **more}
