"""A file that is there as a whole or not at all: written beside its place, and moved there when it is whole.

It is locked meanwhile: so who tidies up after a process that was killed leaves alone what another one is writing, be it
in another container. Refuses to know what is written.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from io import BufferedRandom
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[BufferedRandom]:
    """A file for its owner alone, which takes the place of `path` when the block ends without an error.

    Raises `OSError`.
    """
    remove_unfinished(path.parent, escape(path.name))
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_unfinished(folder: Path, names: str) -> None:
    """Remove what was being written in `folder` by processes that have ended. `names` are a pattern, of the files."""
    for part in folder.glob(f".{names}.*.part"):
        with suppress(OSError):
            descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(descriptor)
