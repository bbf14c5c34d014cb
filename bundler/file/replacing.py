"""Writing a file so that there is either the old one or the whole new one, never a half.

Where the file system allows it the new file has no name until it is whole (`O_TMPFILE`), so that not even
SIGKILL leaves anything behind; elsewhere it has a temporary name beside the target.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""What open(2) answers to O_TMPFILE on file systems or kernels without it."""


@contextmanager
def replacing(target: Path, mode: int) -> Iterator[int]:
    """A descriptor to write into; when the block ends well, the file takes the name `target`.

    `mode` is what the file's permissions will be, less the umask. A program that is running from the old
    file goes on with the old one. Raises `OSError`.
    """
    name = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    fd, named = _open_unnamed(target.parent, mode), False
    if fd is None:
        fd, named = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), True
    try:
        yield fd
        if not named:
            _give_name(fd, name)
            named = True
        name.replace(target)
        named = False
    finally:
        os.close(fd)
        if named:
            with suppress(FileNotFoundError):
                name.unlink()


def _open_unnamed(folder: Path, mode: int) -> int | None:
    if not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE, mode)
    except OSError as error:
        if error.errno in _NO_TMPFILE and folder.is_dir():
            return None
        raise


def _give_name(fd: int, name: Path) -> None:
    """linkat(2) with AT_SYMLINK_FOLLOW, which Python's `os.link` uses only when a folder is given."""
    folder = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{fd}", name.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
