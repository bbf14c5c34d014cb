"""Lines of a file, or of standard input, read ahead in a thread: a pipe may keep its reader waiting.

Knows lines and their limit. Refuses to know what is in them.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from runtime.server.app import MAX_BODY

STANDARD_INPUT = Path("-")

LONGEST = MAX_BODY
"""Bytes of a line: what a request over HTTP may have, so that a line is never refused for its body's size."""

_AHEAD = 16
_BLOCK = 2**20


class Line(msgspec.Struct, frozen=True):
    """`number` counts from 1. `text` None: it is longer than `LONGEST`."""

    number: int
    text: bytes | None


def opened(path: Path) -> BinaryIO:
    """Raises `OSError`. Standard input is opened anew, because Python waits at its end for who reads its own."""
    if path == STANDARD_INPUT:
        return open(0, "rb", closefd=False)
    return path.open("rb")


class ReadAhead:
    """The lines of `file` that are not blank, each to whoever asks first; None once there are no more.

    The thread that reads it also closes it: nobody else knows when it is done.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[Line | OSError | None] = asyncio.Queue(_AHEAD)
        threading.Thread(target=self._read, name="batch", daemon=True).start()

    async def next(self) -> Line | None:
        """Raises `OSError`."""
        line = await self._lines.get()
        if isinstance(line, Line):
            return line
        self._lines.put_nowait(line)  # for all others that ask
        if line is not None:
            raise line
        return None

    def _read(self) -> None:
        # Where nobody wants any more, the loop was told to end, or has.
        with self._file, suppress(CancelledError, RuntimeError):
            try:
                number = 0
                while text := self._file.readline(LONGEST + 1):
                    number += 1
                    if len(text) > LONGEST and not text.endswith(b"\n"):
                        self._skip_line()
                        self._put(Line(number, None))
                    elif text.strip():
                        self._put(Line(number, text))
                self._put(None)
            except OSError as error:
                self._put(error)

    def _skip_line(self) -> None:
        while (text := self._file.readline(_BLOCK)) and not text.endswith(b"\n"):
            pass

    def _put(self, line: Line | OSError | None) -> None:
        """Waits for room."""
        putting = self._lines.put(line)
        try:
            done = asyncio.run_coroutine_threadsafe(putting, self._loop)
        except RuntimeError:  # the loop is closed
            putting.close()
            raise
        done.result()


def count_lines(path: Path) -> int | None:
    """How many lines a file has that stays as it is; None for what comes only once. Raises `OSError`."""
    if not path.is_file():
        return None
    count, last = 0, b"\n"
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")
