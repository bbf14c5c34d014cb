"""Whether there is a terminal, and what it can show by the environment's word for it."""

from __future__ import annotations

import os
import stat
import sys
from typing import TextIO


def has_terminal() -> bool:
    """Whether a person can be talked to."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def is_piped_in() -> bool:
    """Whether there is something on standard input that came through a pipe or from a file."""
    try:
        about = os.fstat(0)
        if stat.S_ISREG(about.st_mode):
            return about.st_size > 0
        return stat.S_ISFIFO(about.st_mode) and _bytes_waiting() > 0
    except OSError:
        return False


def _bytes_waiting() -> int:
    import fcntl
    import termios

    answer: bytes = fcntl.ioctl(0, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


_FALLBACK = 80
"""Columns, where the terminal does not say."""


def columns(stream: TextIO) -> int:
    """For text. The last one stays free: a line that ends there ends differently in each terminal."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        width = 0
    return (width or _FALLBACK) - 1


def can_style() -> bool:
    """Whether escape sequences mean anything to it."""
    return os.environ.get("TERM", "dumb") != "dumb"


def has_colour() -> bool:
    """NO_COLOR (https://no-color.org) leaves weight and lines."""
    return not os.environ.get("NO_COLOR")
