"""The command that started this program, and its environment: for children of ours, to begin anew, and for others.

Knows how a frozen program is run, and one from source, and what the launcher and PyInstaller's start-up put into the
environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

_AFTER_STANDARD_STREAMS = 3
_TUNABLES = "GLIBC_TUNABLES"
_HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""What the launcher puts there where the user has nothing."""


def own_command() -> list[str]:
    """Without arguments."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "runtime"]


def restore_environment() -> None:
    """Give programs that we start (a browser, the user's shell) the environment that they would have without us.

    Call it first of all. What this process has from the environment, it has read by then.
    """
    if not getattr(sys, "frozen", False):
        return
    os.environ.pop("LD_LIBRARY_PATH", None)
    if original := os.environ.pop("LD_LIBRARY_PATH_ORIG", ""):
        os.environ["LD_LIBRARY_PATH"] = original
    if os.environ.get(_TUNABLES) == _HUGE_PAGES:
        del os.environ[_TUNABLES]
    for name in [name for name in os.environ if name.startswith("_PYI_")]:
        del os.environ[name]


def begin_anew(bundle: Path | None) -> NoReturn:
    """Become the same program again, with the same arguments: whatever any library holds or waits for is gone.

    No file is left open but the standard streams: llama.cpp's are not closed by themselves. Raises `OSError`.
    """
    environment = dict(os.environ)
    if bundle is not None:
        environment["LOAF_BUNDLE"] = str(bundle)
    environment.setdefault(_TUNABLES, _HUGE_PAGES)
    command = own_command()
    os.closerange(_AFTER_STANDARD_STREAMS, os.sysconf("SC_OPEN_MAX"))
    os.execve(command[0], [*command, *sys.argv[1:]], environment)
