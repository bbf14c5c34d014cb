"""Servers that run already answer the lines: one, or several that share them.

Knows when a server is there and when it is not: what one of them has not answered, another does. Which of them is asked
first is `spreading.py`'s to say, how it is asked `servers.py`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from runtime.batch.answering import Answerer, Answering
from runtime.batch.beginnings import beginning_of
from runtime.batch.errors import AnsweringStopped, ServersUnreachable
from runtime.batch.progress import Failures
from runtime.batch.servers import Server, Unreachable
from runtime.batch.spreading import Place, Spreading
from runtime.console.aside import Aside
from runtime.errors import LoafError
from runtime.server.json import encode
from runtime.server.wire import Answered
from runtime.settings import Secret

_AHEAD = 4
_MOST_AHEAD = 256
"""How many times as many lines are looked at as are asked at once: to find for each server what belongs to it."""

_MOST_LOSSES = 4
"""After which a line is given up: it may be what ends the servers."""

_SOONEST, _LATEST = 0.5, 10.0
"""Seconds until a server that is gone is asked whether it is there again; twice as many each time."""

_PATIENCE = 60.0
"""Seconds for which all of them may be gone."""


def of_servers(urls: Sequence[str], key: Secret | None, at_once: int | None) -> Answering:
    """The servers at `urls`, which are shown `key`. Each is asked so much `at_once`; None: as much as it says it can.

    Raises `ServersUnreachable` where none answers, and `ServerRefuses`.
    """

    @asynccontextmanager
    async def begin(_aside: Aside, failures: Failures) -> AsyncIterator[Answerer]:
        servers = [Server(url, key) for url in urls]
        found = await asyncio.gather(*(server.requests_at_once() for server in servers), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, Unreachable):
                raise one
        gone = [
            f"{server.shown}: {one}" for server, one in zip(servers, found, strict=True) if isinstance(one, Unreachable)
        ]
        if len(gone) == len(servers):
            raise ServersUnreachable(gone)
        places = [
            Place(server.url, at_once or (count if isinstance(count, int) else 1), is_out=not isinstance(count, int))
            for server, count in zip(servers, found, strict=True)
        ]
        elsewhere = _Elsewhere(servers, places, failures)
        for server, place, count in zip(servers, places, found, strict=True):
            if isinstance(count, Unreachable):
                elsewhere.look_out_for(server, place, str(count), _SOONEST)
        together = sum(place.at_once for place in places)
        try:
            yield Answerer(
                elsewhere.ask, together + min((_AHEAD - 1) * together, _MOST_AHEAD), lambda: elsewhere.tokens
            )
        finally:
            await elsewhere.close()

    return begin


class _Line(msgspec.Struct, eq=False):
    """What is asked, and how often that was lost with a server."""

    path: str
    body: bytes
    answered: asyncio.Future[Answered]
    losses: int = 0


class _Elsewhere:
    """All lines that are under way. `tokens` have been generated or embedded for them."""

    def __init__(self, servers: Sequence[Server], places: Sequence[Place], failures: Failures) -> None:
        self.tokens = 0
        self._servers = dict(zip(places, servers, strict=True))
        self._spreading: Spreading[_Line] = Spreading(places)
        self._failures = failures
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone_since: float | None = None

    async def ask(self, path: str, body: bytes) -> Answered:
        """An answer, by whichever server. Raises `AnsweringStopped`, `ServerRefuses`."""
        line = _Line(path, body, asyncio.get_running_loop().create_future())
        self._spreading.add(line, beginning_of(body))
        self._begin()
        return await line.answered

    def look_out_for(self, server: Server, place: Place, reason: str, seconds: float) -> None:
        """Let others do what belongs to `server`, and ask it again after so many seconds whether it is there."""
        self._failures.say(server.shown, f"{reason}; it is asked again later")
        self._start(self._look_out(server, place, seconds))

    async def close(self) -> None:
        """Nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers.values():
            server.close()

    def _begin(self) -> None:
        for place, line, key in self._spreading.begin():
            self._start(self._send(place, line, key))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, place: Place, line: _Line, key: bytes) -> None:
        server = self._servers[place]
        try:
            answered = await server.ask(line.path, line.body)
        except Unreachable as error:
            line.losses += 1
            self._is_gone(server, place, str(error), _SOONEST)
            self._again(line, key, str(error))
        except LoafError as error:
            line.answered.set_exception(error)
        else:
            if answered.retry_after is not None and answered.status in (429, 503):
                self._is_gone(server, place, "it has too much to do", answered.retry_after)
                self._spreading.add(line, key, first=True)
            elif not line.answered.done():
                self.tokens += _tokens_in(answered)
                line.answered.set_result(answered)
        self._spreading.end(place)
        self._begin()

    def _again(self, line: _Line, key: bytes, reason: str) -> None:
        if line.losses < _MOST_LOSSES:
            self._spreading.add(line, key, first=True)
        elif not line.answered.done():
            message = f"{line.losses} times the connection to a server broke off: {reason}"
            error = {"error": {"code": 502, "message": message, "type": "server_error"}}
            line.answered.set_result(Answered(502, encode(error), None))

    def _is_gone(self, server: Server, place: Place, reason: str, seconds: float) -> None:
        if not place.is_out:
            self._spreading.put_out(place)
            self.look_out_for(server, place, reason, seconds)
        if self._gone_since is None and all(place.is_out for place in self._spreading.places):
            self._gone_since = time.monotonic()

    async def _look_out(self, server: Server, place: Place, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while not await server.is_ready():
            if self._gone_since is not None and time.monotonic() - self._gone_since > _PATIENCE:
                self._stop(AnsweringStopped(f"no server has answered for {_PATIENCE:.0f} seconds"))
                return
            seconds = min(2 * max(seconds, _SOONEST), _LATEST)
            await asyncio.sleep(seconds)
        self._gone_since = None
        self._spreading.take_back(place)
        self._begin()

    def _stop(self, error: LoafError) -> None:
        for line in self._spreading.drain():
            if not line.answered.done():
                line.answered.set_exception(error)


class _Usage(msgspec.Struct, frozen=True):
    completion_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class _Counted(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


def _tokens_in(answered: Answered) -> int:
    """Generated, or where nothing is, embedded; by what OpenAI's two APIs call them."""
    try:
        usage = msgspec.json.decode(answered.body, type=_Counted).usage
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    return 0 if usage is None else usage.completion_tokens or usage.output_tokens or usage.total_tokens
