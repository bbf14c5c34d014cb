"""Bodies that come too slowly, are too large, are too much together, or are not what their headers say.

What is compressed counts as what it is unpacked to, piece by piece. The memory of large bodies is given back to the
system when they have been answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from runtime.machine.heap import give_back
from runtime.server.beside import LARGE
from runtime.server.refusals import BodiesTooLarge, MalformedRequest, SlowBody

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

SLOWEST = 1024
"""Bytes a second with which a body must come, over each span of patience."""


AT_ONCE = 4
"""Bodies of the largest size for which there is room together, in parts or whole, until they are answered."""

_AT_ONE_STROKE = 0.002
"""Seconds of unpacking, before as long a pause: a short answer has ten tokens' turns in a few of them."""

_TIDY_SECONDS = 1.0
"""After the last large body's answer: when nothing refers to it any more."""


def receiving(patience: float, limit: int) -> Middleware:
    """A middleware that has the whole body before a handler is called; `patience` in seconds, `limit` in bytes.

    Raises `SlowBody`, `MalformedRequest`, `BodiesTooLarge`, and aiohttp's `HTTPRequestEntityTooLarge`.
    """
    held = _Held(AT_ONCE * limit)

    @web.middleware
    async def receive(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.content_length is not None and request.content_length > limit:
            raise web.HTTPRequestEntityTooLarge(limit, request.content_length)
        if request.content.is_eof() or request.match_info.http_exception is not None:
            return await handler(request)
        with held.share() as share:
            await _receive(request, patience, limit, share)
            return await handler(request)

    return receive


class _Held:
    """Bytes of all bodies that are being received or answered, `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._tidying: asyncio.TimerHandle | None = None

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """For one body: what is called takes so many bytes more, until the block ends, or raises `BodiesTooLarge`."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._bytes + size > self._most:
                raise BodiesTooLarge
            self._bytes += size
            taken += size

        try:
            yield take
        finally:
            self._bytes -= taken
            if taken > LARGE:
                self._tidy_soon()

    def _tidy_soon(self) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
        loop = asyncio.get_running_loop()
        self._tidying = loop.call_later(_TIDY_SECONDS, loop.run_in_executor, None, give_back)


async def _receive(request: web.Request, patience: float, limit: int, take: Callable[[int], None]) -> None:
    """Let aiohttp keep the body. Nothing is counted while it is already there, or comes in time."""
    reading = asyncio.ensure_future(_read(request, limit, take))
    try:
        received = request.content.total_bytes
        while not (await asyncio.wait({reading}, timeout=patience))[0]:
            if request.content.total_bytes - received < patience * SLOWEST:
                raise SlowBody
            received = request.content.total_bytes
        reading.result()
    except web.RequestPayloadError as error:
        raise MalformedRequest("the body is not what its headers say") from error
    finally:
        reading.cancel()


async def _read(request: web.Request, limit: int, take: Callable[[int], None]) -> None:
    """As aiohttp's `read`, which unpacks as much at once as a body may have before it looks how much that is."""
    body, rests = bytearray(), _Rests(is_unpacked=hdrs.CONTENT_ENCODING in request.headers)
    while piece := await request.content.readany():
        if (size := len(body) + len(piece)) > limit:
            body.clear()  # which the error would hold on to
            if rests.is_unpacked:
                await _drop_some(request, limit, rests)
            raise web.HTTPRequestEntityTooLarge(limit, size)
        take(len(piece))
        body += piece
        await rests.others_turn()
    # A large one is not copied: new memory of 57 MB is touched for 0.1 to 0.4 s, and nobody has a turn meanwhile.
    request._read_bytes = bytes(body) if len(body) <= LARGE else body  # type: ignore[assignment]


class _Rests:
    """Pauses in what is at hand at once, so that others have their turn.

    What `is_unpacked` takes a hundred times its length to make: half of the time at most, for this loop is everybody's,
    and who computes waits for its processor, too.
    """

    def __init__(self, *, is_unpacked: bool) -> None:
        self.is_unpacked = is_unpacked
        self._began = time.thread_time()

    async def others_turn(self) -> None:
        """Between two pieces."""
        worked = time.thread_time() - self._began
        if not self.is_unpacked:
            await asyncio.sleep(0)
        elif worked > _AT_ONE_STROKE:
            await asyncio.sleep(worked)
            self._began = time.thread_time()


async def _drop_some(request: web.Request, limit: int, rests: _Rests) -> None:
    """Read what still comes of a compressed body that is too large, so that its client reads the answer; but not all.

    aiohttp would go on for as long as there is anything, and let nobody else have a turn meanwhile.
    """
    dropped = 0
    while dropped < limit and (piece := await request.content.readany()):
        dropped += len(piece)
        await rests.others_turn()
    request.protocol._lingering_time = 0
