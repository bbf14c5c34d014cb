"""What takes longer than others can wait is done beside the event loop, in threads.

Large bodies have threads of their own, and few: six of them would else keep everybody waiting who is not small. What
is done for a client that leaves is not begun, or ends with its next part (`check_wanted`). Refuses to know what it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from runtime.engine.uses import Carried
from runtime.engine.wanted import check_wanted, wanted_until
from runtime.machine.resources import processors

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

SMALL = 4096
"""Bytes of a body that is dealt with at once: two milliseconds of rendering and tokenizing at most."""

LARGE = 256 * 1024
"""Bytes from which on a body is dealt with in one of the threads for large ones: some fifty thousand tokens."""

_MOST_FOR_LARGE = 4
"""Threads, and one for every two processors: llama.cpp computes with all of them, and others wait for that."""

_NICENESS = 10
"""Of those threads: a tenth of the weight of what computes. Where one holds the interpreter it is not held up for long,
since what computes soon waits for the interpreter, too."""

_SLOWER = (b"image", b"audio", b"multimodal")
"""What is in the names of fields with a picture or a sound, which takes longer than its size tells."""


async def beside_the_loop(request: web.Request, make: Callable[[], T], *, takes_long: bool = False) -> T:
    """What `make` makes of the request: in a thread, so that nobody waits, unless it is small.

    While all processors compute, a thread is waited for longer than a small request takes.
    """
    body = await request.read()
    size = len(body)
    if not takes_long and size <= SMALL and not any(name in body for name in _SLOWER):
        return make()
    left = threading.Event()

    def while_wanted() -> T:
        with wanted_until(left):
            check_wanted()
            return make()

    carried = Carried(while_wanted)
    pool = _for_large() if size > LARGE else None
    try:
        with _SHORT_TURNS:
            return await asyncio.get_running_loop().run_in_executor(pool, carried)
    finally:
        left.set()
        carried.leave()


class _ShortTurns:
    """While something takes long beside the loop: how long a thread goes on in Python while another one waits for it.

    A token's way from the engine to a client changes threads several times, and with Python's own 5 milliseconds it
    would wait each time. Always so short, eight clients have their first token a fifth later, and fewer after it.
    Used by the event loop's thread only.
    """

    _SECONDS = 0.0002

    def __init__(self) -> None:
        self._count = 0
        self._usual = sys.getswitchinterval()

    def __enter__(self) -> None:
        self._count += 1
        sys.setswitchinterval(self._SECONDS)

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            sys.setswitchinterval(self._usual)


_SHORT_TURNS = _ShortTurns()


def use_new_threads() -> None:
    """From now on. Threads have rights of their own, those of who started them; the old ones end when they are idle."""
    from concurrent.futures import ThreadPoolExecutor

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="beside"))
    _for_large.cache_clear()


@cache
def _for_large() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(1, min(processors().usable // 2, _MOST_FOR_LARGE)), "large", _give_way)


def _give_way() -> None:
    """Let all other threads go first. To Linux, whose threads have niceness of their own, a thread is a process."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
