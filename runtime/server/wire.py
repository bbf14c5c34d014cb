"""A connection to a server of answers, as a client: one request after the other, each answered whole.

Knows HTTP/1.1 as far as an answer's head and its length go (RFC 9112, 6.3 and 7.1). Refuses to know whom it asks, and
what: who made the connection does.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Awaitable, Callable

import msgspec

_MOST_BYTES = 2**30
"""Of an answer: as many as a result of a batch may have."""

_HEX = frozenset(string.hexdigits)


class Answered(msgspec.Struct, frozen=True):
    """`retry_after` in seconds, where it was too early to ask."""

    status: int
    body: bytes
    retry_after: int | None


Ask = Callable[[str, bytes], Awaitable[Answered]]
"""A path and the JSON that is posted there."""


class BrokenOff(Exception):
    """What came is no whole answer."""


class Wire:
    """It is good for another request until it was idle for `kept_seconds`, so less than the server keeps it.

    `head` is what each request says besides its first line and its length: whole lines, at least `Host`.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, kept_seconds: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head
        self._kept_seconds = kept_seconds
        self._kept_until = 0.0

    async def ask(self, path: str, body: bytes | None) -> Answered:
        """What is answered when `body` is posted to `path`, or `path` is got. Raises `OSError`, `BrokenOff`."""
        self._kept_until = 0.0
        method, length = ("GET", "") if body is None else ("POST", f"Content-Length: {len(body)}\r\n")
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n"
        self._writer.write(head.encode() + (body or b""))
        try:
            answered, is_kept = await self._answer()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, KeyError) as error:
            raise BrokenOff("the answer broke off") from error
        if is_kept:
            self._kept_until = asyncio.get_running_loop().time() + self._kept_seconds
        return answered

    @property
    def is_open(self) -> bool:
        """Whether the server keeps it for certain."""
        return asyncio.get_running_loop().time() < self._kept_until

    def close(self) -> None:
        self._writer.close()

    async def _answer(self) -> tuple[Answered, bool]:
        """And whether the connection stays."""
        status, headers = 100, dict[str, str]()
        while status < 200:  # what is said meanwhile (RFC 9110, 15.2)
            status, headers = _parse_head(await self._reader.readuntil(b"\r\n\r\n"))
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(_checked(int(headers["content-length"])))
        retry_after = headers.get("retry-after", "")
        answered = Answered(status, body, int(retry_after) if retry_after.isdecimal() else None)
        return answered, headers.get("connection", "").lower() != "close"

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = (await self._reader.readuntil(b"\r\n")).decode("ascii").partition(";")[0].strip()
            if not size or not _HEX.issuperset(size):
                raise ValueError("no size of a chunk")
            if not (length := int(size, 16)):
                while await self._reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return bytes(body)
            _checked(len(body) + length)
            body += (await self._reader.readexactly(length + 2))[:-2]


def _checked(size: int) -> int:
    if not 0 <= size <= _MOST_BYTES:
        raise ValueError("too long an answer")
    return size


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.partition(" ")[2][:3]), headers
