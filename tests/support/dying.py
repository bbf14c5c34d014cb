"""Lets a process die in the middle of what it writes: after so many calls, or after so many bytes."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

_MODIFYING = ("pwrite", "ftruncate", "copy_file_range", "link", "rename", "replace", "unlink")
"""The calls by which files are changed."""

_real = {name: getattr(os, name) for name in _MODIFYING}


class Died(BaseException):
    """The process is no more: nothing that it still tries to write gets anywhere."""


class Death:
    """Comes at call number `call` of those that change files in `folder`; of a write, `part` of it is done still."""

    def __init__(self, folder: Path, call: int, part: float) -> None:
        self.calls = 0
        self._folder = folder
        self._last = call
        self._part = part

    def happen(self) -> None:
        """Again and again, whatever is tried."""
        raise Died

    def at(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if not self._is_meant(name, arguments):
            return _real[name](*arguments, **options)
        self.calls += 1
        if self.calls == self._last:
            self._half(name, arguments)
        if self.calls >= self._last:
            self.happen()
        return _real[name](*arguments, **options)

    def _is_meant(self, name: str, arguments: tuple[Any, ...]) -> bool:
        file = arguments[1] if name == "copy_file_range" else arguments[0]
        path = Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else Path(file)
        return path.parent == self._folder or name == "link"

    def _half(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "pwrite":
            fd, data, offset = arguments
            _real[name](fd, data[: int(len(data) * self._part)], offset)
        elif name == "copy_file_range":
            source, target, count, source_offset, target_offset = arguments
            _real[name](source, target, int(count * self._part), source_offset, target_offset)


class Kill(Death):
    """A real one, by SIGKILL."""

    def happen(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class DiskFull(Death):
    """One call fails; what comes after it does not."""

    def happen(self) -> None:
        if self.calls == self._last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def dying(death: Death) -> Iterator[Death]:
    """While the block runs, every call that changes files asks `death` first. Nothing waits for the disk."""

    def guarded(name: str) -> Callable[..., Any]:
        return lambda *arguments, **options: death.at(name, arguments, options)

    with patch.multiple(os, fdatasync=lambda _fd: None, **{name: guarded(name) for name in _MODIFYING}):
        yield death


def calls_of(folder: Path, action: Callable[[], object]) -> int:
    """How often `action` changes files in `folder`."""
    with dying(Death(folder, 2**60, 0)) as death:
        action()
    return death.calls


def kill_at(folder: Path, call: int, part: float, action: Callable[[], object]) -> bool:
    """Do `action` in a process that is killed at that call; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            with dying(Kill(folder, call, part)):
                action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
