"""Where things that take long to make are kept, so that each is made once.

Knows folders, keys and how an entry comes to be all at once. Refuses to know what the entries are:
`bundler/freeze/` says what goes into a key and how an entry is made.

Two processes that want the same entry: one holds the entry's lock and makes it, the other waits for
the lock and finds it made. Whoever holds the lock writes into a fresh `KEY.*.partial` and renames it to
`KEY`, so a `KEY` that exists is whole. The system drops the lock of a process that dies; the next one to
hold it knows that a `KEY.*.partial` it finds belongs to nobody, and deletes it. (The name is fresh because
something that the dead process started may still be writing into the old one.)

Who makes an entry takes old ones of its kind away (`pruning.py`); an entry that is found is touched, to say that it
is used.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bundler.errors import CacheFull, CacheUnusable
from bundler.store.locking import locked
from bundler.store.pruning import PARTIAL, prune, prune_logs

_FULL = (errno.ENOSPC, errno.EDQUOT)

_KEPT_LOGS = 16


def cached(kind: str, key: str, make: Callable[[Path], None], *, needs: int, keep: int = 8) -> Path:
    """The folder of the entry `key` among the entries of `kind`, made by `make(folder)` when there is none.

    `needs` is what making it takes on disk, in bytes: when less is free, nothing is started. `make` gets
    an empty folder which will be renamed: what it writes must not contain the folder's path. Then the `keep` entries
    of this kind that were used last are kept, and of the others those used within a day or locked.

    Raises CacheFull and CacheUnusable, and whatever `make` raises; then nothing counts as made.
    """
    entry = build_cache() / kind / key
    with _full_disk_told(entry.parent, needs):
        if _found(entry):
            return entry
        _private_folder(entry.parent)
        with locked(entry):
            if not _found(entry):
                _make_whole(entry, make, needs)
                prune(entry.parent, keep)
        return entry


@contextlib.contextmanager
def work_in_progress(kind: str, key: str, *, needs: int) -> Iterator[Path]:
    """A folder for work that goes on where it was: it stays where an exception leaves the block, or the process dies.

    One process at a time has it. It is always at the same place, and gone once the block is done; so are those of this
    kind that nobody went on with for a day. `needs` is what the whole takes on disk, in bytes.

    Raises CacheFull and CacheUnusable.
    """
    folder = build_cache() / kind / key
    with _full_disk_told(folder.parent, needs):
        _private_folder(folder.parent)
        with locked(folder):
            if not _found(folder) and shutil.disk_usage(folder.parent).free < needs:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            folder.mkdir(exist_ok=True)
            yield folder
            shutil.rmtree(folder)
            prune(folder.parent, keep=0)


def is_cached(kind: str, key: str) -> bool:
    """Whether `cached` would find the entry made; then it counts as used now."""
    return _found(build_cache() / kind / key)


def build_cache() -> Path:
    """`$LOAF_BUILD_CACHE`, else `$XDG_CACHE_HOME/loaf-build`, else `~/.cache/loaf-build`; absolute."""
    if chosen := os.environ.get("LOAF_BUILD_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "loaf-build"


def key_of(**inputs: str) -> str:
    """A key that changes when any of the named inputs does: 16 hex digits of a SHA-256."""
    digest = hashlib.sha256()
    for name, value in sorted(inputs.items()):
        digest.update(f"{name}={len(value)}:{value}\n".encode())
    return digest.hexdigest()[:16]


def log_file(name: str) -> Path:
    """Where the log of a long step goes: outside the entries, so that it outlives a failed one."""
    logs = build_cache() / "logs"
    with _full_disk_told(logs, 0):
        _private_folder(logs)
        prune_logs(logs, _KEPT_LOGS)
    return logs / f"{name}.log"


def _found(entry: Path) -> bool:
    """Whether it is there; and then it is used now."""
    try:
        os.utime(entry)
    except FileNotFoundError:
        return False
    except OSError:  # somebody else's, or on a disk that is only read
        return entry.is_dir()
    return True


def _make_whole(entry: Path, make: Callable[[Path], None], needs: int) -> None:
    for dead in entry.parent.glob(f"{entry.name}.*{PARTIAL}"):
        shutil.rmtree(dead, ignore_errors=True)
    if shutil.disk_usage(entry.parent).free < needs:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    partial = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", suffix=PARTIAL, dir=entry.parent))
    try:
        make(partial)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _full_disk_told(folder: Path, needs: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CacheFull(folder, _free_bytes(folder), needs) from error
        raise


def _private_folder(folder: Path) -> None:
    root = build_cache()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise CacheUnusable(root, error.strerror or str(error)) from error


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
