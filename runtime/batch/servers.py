"""A server at an address: what it is asked, and what it means that it does not answer.

Refuses to know of other servers, and when one is asked again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from runtime.batch.errors import ServerRefuses
from runtime.fetching.web import shown, trusting_context
from runtime.server.wire import Answered, BrokenOff, Wire
from runtime.settings import Secret

_CONNECTING_SECONDS = 10.0
_KEPT_SECONDS = 4.0
"""For which a connection is used again: less than any server or proxy keeps one (uvicorn: 5)."""

_IDLE, _INTERVAL, _PROBES = 15, 5, 3
"""Seconds after which the system asks a silent machine whether it is there, how often, and how many times: an answer
may be computed for minutes, and a machine that is switched off says nothing."""

_DEFAULT_AT_ONCE = 16


class Unreachable(Exception):
    """It does not answer, or broke off; in one line."""


class _Props(msgspec.Struct, frozen=True):
    total_slots: int = _DEFAULT_AT_ONCE


class Server:
    """The one at `url`, which begins with http:// or https://, and may have a path. It is shown `key`."""

    def __init__(self, url: str, key: Secret | None) -> None:
        self.url = url
        self.shown = shown(url)
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._tls = trusting_context() if parts.scheme == "https" else None
        name = parts.netloc.rpartition("@")[2]
        self._head = f"Host: {name}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
        self._wires: list[Wire] = []

    async def ask(self, path: str, body: bytes | None) -> Answered:
        """An answer that is one: not a proxy's that there is none. Raises `Unreachable`, `ServerRefuses`."""
        wire = self._waiting_one() or await self._connect()
        try:
            answered = await wire.ask(f"{self._prefix}{path}", body)
        except (OSError, BrokenOff) as error:
            wire.close()
            raise Unreachable(f"the connection broke off ({_reason(error)})") from error
        except BaseException:
            wire.close()
            raise
        self._wires.append(wire)
        if answered.status in (401, 403):
            raise ServerRefuses(self.shown, _message(answered))
        if answered.status in (502, 504) or (answered.status == 503 and answered.retry_after is None):
            raise Unreachable(_message(answered))
        return answered

    async def requests_at_once(self) -> int:
        """How many it says that it can answer; a guess, where it does not say. Raises as `ask` does."""
        answered = await self.ask("/props", None)
        try:
            return max(1, msgspec.json.decode(answered.body, type=_Props).total_slots)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _DEFAULT_AT_ONCE

    async def is_ready(self) -> bool:
        """Whether it takes requests."""
        with suppress(Unreachable, ServerRefuses, asyncio.TimeoutError):
            return (await asyncio.wait_for(self.ask("/health?ready", None), _CONNECTING_SECONDS)).status == 200
        return False

    def close(self) -> None:
        for wire in self._wires:
            wire.close()

    async def _connect(self) -> Wire:
        opening = asyncio.open_connection(self._host, self._port, ssl=self._tls)
        try:
            reader, writer = await asyncio.wait_for(opening, _CONNECTING_SECONDS)
        except asyncio.TimeoutError as error:
            raise Unreachable(f"it does not answer within {_CONNECTING_SECONDS:.0f} seconds") from error
        except OSError as error:
            raise Unreachable(_reason(error)) from error
        _ask_whether_it_is_there(writer.get_extra_info("socket"))
        return Wire(reader, writer, self._head, _KEPT_SECONDS)

    def _waiting_one(self) -> Wire | None:
        while self._wires:
            wire = self._wires.pop()
            if wire.is_open:
                return wire
            wire.close()
        return None


def _ask_whether_it_is_there(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)


def _reason(error: Exception) -> str:
    """The system's words, where it has any: asyncio writes addresses beside them."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


class _Error(msgspec.Struct, frozen=True):
    message: str


class _Failed(msgspec.Struct, frozen=True):
    error: _Error


def _message(answered: Answered) -> str:
    try:
        return f"{answered.status}: {msgspec.json.decode(answered.body, type=_Failed).error.message}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"it answers {answered.status}"
