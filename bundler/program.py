"""The frozen program on this machine: unpacked once, run without the launcher.

Knows where it lies and what it must not inherit. Refuses to know what it is asked.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cache import cached

if TYPE_CHECKING:
    from bundler.plan import PlannedRuntime


def unpacked_program(runtime: PlannedRuntime) -> Path:
    """The program's file, in a folder that is kept for each runtime. Raises `CacheError`, `OSError`."""
    from bundler.copying import read  # here, since scripts/setup imports this module with a Python that has nothing

    sha256 = runtime.core.sha256
    assert sha256 is not None, "programs come with their digest"
    content = runtime.core.content
    folder = unpacked(sha256, runtime.about.unpacked_size, lambda: b"".join(read(content)))
    return folder / runtime.about.program


def unpacked(sha256: str, size: int, packed: Callable[[], bytes]) -> Path:
    """The folder of the program whose tar.gz, with this digest, `packed` reads; `size` bytes are unpacked.

    Raises `CacheError`, `OSError`.
    """

    def unpack(folder: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(packed()), mode="r:gz") as archive:
            archive.extractall(folder)

    return cached("program", sha256[:16], unpack, needs=size)


def program_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, **more}
