"""Chat templates of real models: those in llama.cpp's sources, which the runtime is compiled from.

They are other people's, so they are no part of this repository. The archive is fetched once per machine and version,
with the project's own cache.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

from bundler.freeze.pins import LLAMA, llama_version
from bundler.store.cache import cached, key_of

_FOLDER = "/vendor/llama.cpp/models/templates/"
_ARCHIVE_BYTES = 100_000_000


@lru_cache
def templates() -> dict[str, str]:
    """The sources, by the names that llama.cpp gives them."""
    entry = cached("templates", key_of(version=llama_version()), _fetch, needs=_ARCHIVE_BYTES)
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(entry.glob("*.jinja"))}


def _fetch(folder: Path) -> None:
    wanted = f"{LLAMA}=={llama_version()}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", LLAMA, "-d", folder, wanted]
    subprocess.run([str(part) for part in command], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar:
            if _FOLDER in member.name and member.name.endswith(".jinja"):
                file = tar.extractfile(member)
                assert file is not None
                (folder / Path(member.name).name).write_bytes(file.read())
    archive.unlink()
