"""What one client may take of the server without giving anything: time, connections, memory.

The head of a request must be whole within `--timeout` from its first byte or the connection, and an answer must be
taken. Bodies are for `receiving.py`. Sizes are aiohttp's: 8 KiB a header, 128 headers, 32 requests sent ahead.
"""

from __future__ import annotations

import asyncio
import resource
import select
from collections.abc import Callable
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, StreamWriter
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

ASKED_AGAIN_SECONDS = 2.0
"""How often a client that sends no more is asked whether it still waits."""

REFUSAL_SECONDS = 5.0
"""How long a connection that is one too many is given to ask, so as to be told."""


def most_connections() -> int:
    """How many this process can hold, by the limit of files, which is raised if the system lets it be."""
    wanted = MOST_CONNECTIONS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < wanted:
        soft = wanted if hard < 0 else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft < 0 else max(1, min(MOST_CONNECTIONS, soft - SPARE_FILES))


class Connection(RequestHandler):
    """One connection of `server`, at most `most` of them. Used as a factory of asyncio's protocols.

    `root` is the path below which everything is.
    """

    __slots__ = ("_has_asked", "_head_timer", "_is_silent", "_leaving_timer", "_most", "_patience", "_write_timer")

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
        self._leaving_timer = _Timer(loop, self._look_whether_it_left)
        self._has_asked = False
        self._is_silent = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        read_in_pieces(transport)
        assert self._manager is not None
        if len(self._manager.connections) > self._most and not self._takes_an_idle_ones_place():
            self._request_handler = self._refuse
            self._head_timer.start(REFUSAL_SECONDS)
        else:
            self._head_timer.start(self._patience)

    def _takes_an_idle_ones_place(self) -> bool:
        """End the oldest connection on which nothing is asked, first of those that never asked, if there is any."""
        assert self._manager is not None
        others = [one for one in self._manager.connections if isinstance(one, Connection) and one is not self]
        idle = [one for one in others if one._is_silent or one._is_between_requests()]
        oldest = min(idle, key=lambda one: one._next_keepalive_close_time > 0, default=None)
        if oldest is not None:
            oldest._abort()
        return oldest is not None

    def data_received(self, data: bytes) -> None:
        self._is_silent = False
        super().data_received(data)
        if self._messages:
            self._head_timer.stop()
        elif not self._head_timer.runs and self._is_between_requests():
            self._head_timer.start(self._patience)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends no more. Either it has left, or it waits for its answer with half a connection (`nc -N`).

        Both look alike until something is sent to it: then the system of one that has left refuses it.
        """
        super().eof_received()
        assert self.transport is not None
        is_tls = self.transport.get_extra_info("sslcontext") is not None  # which has no half connections
        if is_tls or (self._is_between_requests() and not self._messages):
            return False  # close it
        self._leaving_timer.start(0)
        return True

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
        self._leaving_timer.stop()
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

    def _look_whether_it_left(self) -> None:
        transport, request = self.transport, self._current_request
        assert isinstance(transport, asyncio.Transport)
        if self._is_between_requests():
            transport.close()
        elif _is_gone(transport) or (request is not None and not _may_be_waited_for(request)):
            transport.abort()
        else:
            self._leaving_timer.start(ASKED_AGAIN_SECONDS if self._has_asked else _SOON)
            if request is not None:
                self._ask(request, transport)

    def _ask(self, request: web.BaseRequest, transport: asyncio.Transport) -> None:
        """Send what means nothing: that an answer is to come (RFC 9110, 15.2.1), or a zero before a chunk's size (9112,
        7.1), which is enough once, because more of the answer follows.
        """
        if request.writer.output_size == 0:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif not self._has_asked and isinstance(request.writer, StreamWriter) and request.writer.chunked:
            transport.write(b"0")
        self._has_asked = True

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


_SOON = 0.05


def _may_be_waited_for(request: web.BaseRequest) -> bool:
    """Whether it is whole, and either has begun to be answered or can be told to wait."""
    return request.content.is_eof() and (request.writer.output_size > 0 or request.version >= HttpVersion11)


def _is_gone(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end has refused what was sent. Nothing is reported of a connection that is not read from."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))


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
