"""What one client may take of the server without giving anything: time, connections, memory.

The head of a request must be whole within `--timeout` from its first byte or the connection, and an answer must be
taken. Bodies are for `receiving.py`. Sizes are aiohttp's: 8 KiB a header, 128 headers, 32 requests sent ahead.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from runtime import __version__
from runtime.errors import LoafError
from runtime.server.dialect import error_object
from runtime.server.errors import failure_of
from runtime.server.json import json_response
from runtime.server.paths import with_plain_path
from runtime.server.refusals import HeadersTooLarge, MalformedRequest, TooManyConnections

SERVER_NAME = f"loaf/{__version__}"

MOST_CONNECTIONS = 1024
SPARE_FILES = 64
"""Connections at once, as far as the system allows files; some files are needed for the rest of the program."""

IDLE_SECONDS = 130.0
"""How long a connection is kept between requests: longer than proxies keep theirs (nginx 60, Caddy 120), because who
reuses a connection just as it is closed is told nothing."""

LINGERING_SECONDS = 10.0
"""How long at most the rest of a body is read that nobody wants, so that the system does not drop the answer."""

READ_BYTES = 64 * 1024
"""What is taken from a socket at once. asyncio's 256 KiB are allocated anew for each piece that arrives, and all but
its own few bytes are given back: what is kept meanwhile comes to lie there, and for the next one the heap grows."""

REFUSAL_SECONDS = 5.0
"""How long a connection that is one too many is given to ask, so as to be told."""


def most_connections() -> int:
    """How many this process can hold, by the limit of files that it was started with."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft < 0 else max(1, min(MOST_CONNECTIONS, soft - SPARE_FILES))


class Connection(RequestHandler):
    """One connection of `server`, at most `most` of them. Used as a factory of asyncio's protocols.

    `root` is the path below which everything is.
    """

    __slots__ = ("_head_timer", "_most", "_patience", "_write_timer")

    def __init__(self, server: web.Server, patience: float, most: int, root: str = "/") -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=min(LINGERING_SECONDS, patience),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way of having none
        )
        self._patience = patience
        self._most = most
        make_request = self._request_factory
        assert make_request is not None
        self._request_factory = lambda message, *more: make_request(with_plain_path(message, root), *more)
        self._head_timer = _Timer(loop, self._give_up_head)
        self._write_timer = _Timer(loop, self._abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        read_in_pieces(transport)
        assert self._manager is not None
        if len(self._manager.connections) > self._most:
            self._request_handler = self._refuse
            self._head_timer.start(REFUSAL_SECONDS)
        else:
            self._head_timer.start(self._patience)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:
            self._head_timer.stop()
        elif not self._head_timer.runs and self._is_between_requests():
            self._head_timer.start(self._patience)

    def pause_writing(self) -> None:
        """The client does not read, and the buffers on the way are full."""
        super().pause_writing()
        self._write_timer.start(self._patience)

    def resume_writing(self) -> None:
        self._write_timer.stop()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_timer.stop()
        self._write_timer.stop()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Bytes that are no HTTP are the client's mistake, and told to nobody else."""
        if status != 400 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        reason = (message or "").partition("\n")[0].rstrip(":. ")  # then it shows the bytes
        return _response(HeadersTooLarge() if isinstance(exc, LineTooLong) else MalformedRequest(reason))

    def log_exception(self, *args: Any, **options: Any) -> None:
        """A body that cannot be decoded has been answered; reading on in it fails again, and is no bug."""
        if not isinstance(options.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **options)

    def _is_between_requests(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _give_up_head(self) -> None:
        if self._is_between_requests():
            self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    async def _refuse(self, _request: web.BaseRequest) -> web.StreamResponse:
        """Said to who asks, rather than at once: what a client sends after that makes the system drop the answer."""
        return _response(TooManyConnections(self._most))


def read_in_pieces(transport: asyncio.BaseTransport) -> None:
    """Has no more than `READ_BYTES` taken at once. What TLS is read with has a buffer of its own, and keeps it."""
    transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # of asyncio's transports over selectors


class _Timer:
    """Calls `act` when `start` was so many seconds ago, unless stopped."""

    __slots__ = ("_act", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
        self._loop = loop
        self._act = act
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float) -> None:
        self.stop()
        self._handle = self._loop.call_later(seconds, self._ring)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._act()


def _response(error: LoafError) -> web.Response:
    """The last on its connection. Of nobody's dialect, because no path need be known: llama-server's form."""
    failure = failure_of(error)
    response = json_response(error_object(failure), status=failure.status)
    response.headers[hdrs.SERVER] = SERVER_NAME
    if failure.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(failure.retry_after)
    response.force_close()
    return response
