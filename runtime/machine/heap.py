"""Memory that was freed, back to the system: the C library keeps it for the next who asks, each thread its own.

Knows glibc's `malloc_trim`. Where there is another C library, nothing is done.
"""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give back what is free. Takes some milliseconds, and the interpreter is not held meanwhile."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
