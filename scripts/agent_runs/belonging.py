"""Which processes belong to an agent: all that have its home in their environment, whoever started them.

Agents start shells, servers and watchers in sessions of their own, so neither a process group nor a parent tells.
Refuses to know agents. Reads Linux's /proc.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def end_all(home: Path) -> None:
    """Kill what has the home `home`, and what it starts meanwhile."""
    while found := list(_processes(home)):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def resident_bytes(home: Path) -> int:
    """The memory that all of them take."""
    total = 0
    for process in _processes(home):
        with suppress(OSError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    return total


def _processes(home: Path) -> Iterator[int]:
    """Their ids; those that have ended and are not waited for are none."""
    mark = b"HOME=" + os.fsencode(home)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):  # empty for those that have ended
                    yield int(folder.name)
