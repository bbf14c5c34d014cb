"""The command that started this program: for children of ours, and to begin anew in the same process.

Knows how a frozen program is run, and one from source.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

_AFTER_STANDARD_STREAMS = 3


def own_command() -> list[str]:
    """Without arguments."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "runtime"]


def begin_anew(bundle: Path | None) -> NoReturn:
    """Become the same program again, with the same arguments: whatever any library holds or waits for is gone.

    No file is left open but the standard streams: llama.cpp's are not closed by themselves. Raises `OSError`.
    """
    if bundle is not None:
        os.environ["LOAF_BUNDLE"] = str(bundle)
    command = own_command()
    os.closerange(_AFTER_STANDARD_STREAMS, os.sysconf("SC_OPEN_MAX"))
    os.execv(command[0], [*command, *sys.argv[1:]])
