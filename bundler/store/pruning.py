"""Which entries of the build cache go when a new one comes: those that nobody has used for long.

Knows when an entry was last used (the time of its folder), and how many are kept. Refuses to know what the entries are.

What is used for longer than a day is locked by who uses it (`locking.py`), and stays.
"""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from bundler.store.locking import locked_if_free

PARTIAL = ".partial"
"""How the name of a folder ends that is being made, or taken away: KEY.*.partial."""

_UNUSED_SECONDS = 24 * 3600.0


def prune(folder: Path, keep: int) -> None:
    """Leave of the entries in `folder` the `keep` used last, and those used within a day or locked.

    Leftovers of processes that died go as well. What cannot be taken away stays, without an error.
    """
    found = sorted(_folders(folder), reverse=True)
    entries = [one for one in found if not one[1].name.endswith(PARTIAL)]
    leftovers = [one for one in found if one[1].name.endswith(PARTIAL)]
    for used, path in (*entries[keep:], *leftovers):
        if _is_old(used):
            with suppress(OSError):
                _remove(path)


def prune_logs(folder: Path, keep: int) -> None:
    """The same of the logs in `folder`."""
    for used, path in sorted(((path.stat().st_mtime, path) for path in folder.glob("*.log")), reverse=True)[keep:]:
        if _is_old(used):
            path.unlink(missing_ok=True)


def take_away(entry: Path) -> None:
    """Remove an entry, whose lock is held, or what is left of one. What an interruption leaves is pruned later."""
    key = entry.name.partition(".")[0]
    gone = entry.with_name(f"{key}.{secrets.token_hex(4)}{PARTIAL}")
    entry.rename(gone)
    shutil.rmtree(gone)


def _folders(folder: Path) -> list[tuple[float, Path]]:
    found = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process takes it away
            if path.is_dir():
                found.append((path.stat().st_mtime, path))
    return found


def _remove(path: Path) -> None:
    """All at once for who looks for it. The lock's file stays: another process may be waiting for it."""
    key = path.name.partition(".")[0]
    with locked_if_free(path.with_name(key)) as is_free:
        if is_free and _is_old(path.stat().st_mtime):
            take_away(path)


def _is_old(used: float) -> bool:
    return used < time.time() - _UNUSED_SECONDS
