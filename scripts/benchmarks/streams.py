"""A client that notes when what arrives: of `/completion` streams, and of other answers.

It only collects while it is measured. What has arrived is looked at once all is over, because client and server share
the machine's processors. Knows HTTP/1.1 and server-sent events as far as these servers speak them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_PATIENCE = 600  # seconds for one answer

Piece = tuple[float, bytes]
"""When it arrived, on the clock of `time.perf_counter`, and what."""

_END: Piece = (0.0, b"")


class AnswerFailed(Exception):
    """A server answered something else than it was asked for; `said` is what it answered."""

    def __init__(self, said: str) -> None:
        super().__init__(f"unexpected answer: {said[:500]}")


@dataclass(frozen=True, slots=True)
class Answer:
    """One streamed answer. Times in seconds, on the clock of `time.perf_counter`.

    `arrivals` has one time for each token. `tokens` are those that were told: llama-server leaves out the ones that end
    in the middle of a character.
    """

    sent: float
    arrivals: tuple[float, ...]
    tokens: tuple[int, ...]

    @property
    def first_token(self) -> float:
        """Seconds from the request to the first token."""
        return self.arrivals[0] - self.sent

    @property
    def ended(self) -> float:
        return self.arrivals[-1]


class Exchange(asyncio.Protocol):
    """A request that is under way. Made in an event loop."""

    def __init__(self, port: int, path: str, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
        self.pieces: list[Piece] = []
        self.sent = 0.0
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._enough: asyncio.Future[None] = loop.create_future()
        self._wanted = 0
        self._connecting = loop.create_task(loop.create_connection(lambda: self, "127.0.0.1", port))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.sent = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))
        if len(self.pieces) == self._wanted:
            self._enough.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._ended.set_result(None)

    async def several_pieces(self, count: int) -> None:
        """Wait until so many pieces have arrived, about one for each token. Raises AnswerFailed if there are not."""
        await self._connecting
        if len(self.pieces) < count:
            self._wanted = count
            await asyncio.wait((self._enough, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if len(self.pieces) < count:
            raise self.failed()

    async def finished(self) -> None:
        """Wait for the end of the answer. Raises OSError, and asyncio.TimeoutError after ten minutes."""
        await self._connecting
        await asyncio.wait_for(self._ended, _PATIENCE)

    def answer(self) -> Answer:
        """The stream that arrived, once it is finished. Raises AnswerFailed unless it came to its end."""
        arrivals: list[float] = []
        tokens: list[int] = []
        last: dict[str, Any] = {}
        for arrived, last in events_of(self.pieces):
            tokens += last.get("tokens", ())
            predicted = last.get("tokens_predicted", len(arrivals) + len(last.get("tokens", ())))
            arrivals += [arrived] * (predicted - len(arrivals))
        if not arrivals or not last.get("stop"):
            raise self.failed()
        return Answer(self.sent, tuple(arrivals), tuple(tokens))

    def arrivals(self) -> tuple[float, list[float]]:
        """When the request was sent, and when each piece of what was answered came, whatever is in it."""
        return self.sent, [arrived for arrived, data in body_of(self.pieces) if data]

    def first_byte(self) -> float:
        """Seconds from the request to the first piece of an answer, its headers included. Raises AnswerFailed."""
        if not self.pieces:
            raise self.failed()
        return self.pieces[0][0] - self.sent

    def content(self) -> Any:
        """The JSON that arrived, once it is finished. Raises AnswerFailed."""
        try:
            return json.loads(b"".join(data for _, data in body_of(self.pieces)))
        except ValueError:
            raise self.failed() from None

    def failed(self) -> AnswerFailed:
        return AnswerFailed(b"".join(piece for _, piece in self.pieces).decode(errors="replace"))


def events_of(pieces: Sequence[Piece]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The events of the stream that arrived in `pieces`: each with the time at which its last byte was there."""
    rest = b""
    for arrived, data in body_of(pieces):
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: {"):
                yield arrived, json.loads(event.removeprefix(b"data: "))


def body_of(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """What an answer with status 200 holds: whole chunks (RFC 9112, 7.1), or as it arrived where there are none.

    Nothing of an answer with another status.
    """
    coming = iter(pieces)
    arrived, received = next(coming, _END)
    while b"\r\n\r\n" not in received:
        arrived, piece = next(coming, _END)
        if not piece:
            return
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    if head.split(maxsplit=2)[1] != b"200":
        return
    if b"transfer-encoding: chunked" not in head.lower():
        yield arrived, rest
        yield from coming
        return
    while True:
        size_line, end, behind = rest.partition(b"\r\n")
        size = int(size_line, 16) if end else 0
        if end and len(behind) >= size + 2:
            yield arrived, behind[:size]
            rest = behind[size + 2 :]
        else:
            arrived, piece = next(coming, _END)
            if not piece:
                return
            rest += piece
