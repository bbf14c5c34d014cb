"""Results from the worker thread to an event loop, without stopping the worker.

`call_soon_threadsafe` writes to a socket and lets go of the GIL meanwhile: the loop wakes up, takes it, and the worker
waits until the loop has dealt with everything, before each and every batch (measured: 0.2 ms of a step of 4.6). Here
the wake-up is written with the GIL held, so the loop gets it when the worker goes into llama.cpp, and both go on.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

_write = ctypes.PyDLL(None).write  # PyDLL keeps the GIL; os.write does not
_write.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]


class Recipient(Protocol):
    """Whoever takes results, in the event loop."""

    def deliver(self, result: Any) -> None: ...


class Mailbox:
    """For one event loop. Made, and closed, in its thread, or closed after the loop was."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._letters: deque[tuple[Recipient, Any]] = deque()
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop.add_reader(self._read_end, self._empty)

    def put(self, recipient: Recipient, result: Any) -> None:
        """Called in the worker thread, or in any other that gives its work up; `wake` must follow."""
        self._letters.append((recipient, result))

    def wake(self) -> None:
        """Let the loop deliver what was put. A full pipe has woken it already."""
        _write(self._write_end, b"\0", 1)

    def close(self) -> None:
        """Nothing is delivered any more."""
        if not self._loop.is_closed():
            self._empty()
            self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self._write_end)

    def _empty(self) -> None:
        with suppress(BlockingIOError):  # emptied already
            os.read(self._read_end, 65536)
        while self._letters:
            recipient, result = self._letters.popleft()
            recipient.deliver(result)
