"""One process at a time: who comes second waits. The system drops the lock of a process that dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, a file beside it, whether there is a `path` or not."""
    with _lock_of(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of `path` as `locked` does, unless another process holds it: False."""
    with _lock_of(path).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def keep_for_life(path: Path) -> None:
    """Share the lock of `path` with others who do, until this process ends; what it becomes by `exec` goes on with it.

    Raises `OSError`.
    """
    fd = os.open(_lock_of(path), os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.set_inheritable(fd, True)


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
