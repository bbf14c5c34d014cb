"""Unpacks a frozen program, once for each that there is.

Knows where it then lies. Refuses to know whose it is and what it is asked (`bundler/asking/program.py`), and needs no
packages, since `scripts/setup` imports it with a Python that has none.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from bundler.store.cache import cached


def unpacked(sha256: str, size: int, packed: Callable[[], bytes]) -> Path:
    """The folder of the program whose tar.gz, with this digest, `packed` reads; `size` bytes are unpacked.

    Raises `CacheError`, `OSError`.
    """

    def unpack(folder: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(packed()), mode="r:gz") as archive:
            archive.extractall(folder)

    return cached("program", sha256[:16], unpack, needs=size)
