"""Which C++ library drivers find in this process: the newer of the file's own and the system's.

The frozen program brings the libstdc++ that it was compiled with. A driver of a newer system asks for what came later,
and could not be loaded beside it; so before anything loads the one, the other is, where it is newer. libstdc++ is
compatible with all that was compiled with an older one (its symbol versions only grow), so llama.cpp takes it, too.
"""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

from runtime.backends.libraries import find_library

_VERSION = re.compile(rb"GLIBCXX_3\.4\.(\d+)\0")


def prefer_newer_libstdcxx() -> None:
    """Load the system's libstdc++ if it is newer than the frozen one. Call it before llama.cpp is loaded."""
    own = Path(getattr(sys, "_MEIPASS", "")) / "libstdc++.so.6"
    system = find_library(own.name)
    if getattr(sys, "frozen", False) and own.exists() and system is not None and _version(system) > _version(own):
        ctypes.CDLL(str(system), mode=ctypes.RTLD_GLOBAL)


def _version(library: Path) -> int:
    """N of the newest GLIBCXX_3.4.N that the library defines; 0 where it cannot be read."""
    try:
        return max(map(int, _VERSION.findall(library.read_bytes())), default=0)
    except OSError:
        return 0
