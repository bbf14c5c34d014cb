"""Connections beside those that ask: most are silent, some send a byte a second, and one after the other is killed.

Knows numbers of clients. Refuses to know what is asked by others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from wire import Address, Connection, connect

_SLOW_AMONG = 19
"""One in so many is slow, the others are silent: 50 of 950."""

_SLOWLY = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"
_KILLED_A_SECOND = 10


@asynccontextmanager
async def crowd_of(size: int, address: Address) -> AsyncIterator[None]:
    """So many connections, for as long as the block runs."""
    crowd = [await _join(number, address) for number in range(size)]
    living = [asyncio.ensure_future(_drip(crowd)), asyncio.ensure_future(_kill(crowd, address))] if crowd else []
    try:
        yield
    finally:
        for task in living:
            task.cancel()
        for one in crowd:
            with suppress(OSError):
                one.close(reset=True)


async def _join(number: int, address: Address) -> Connection:
    connection = await connect(address)
    if _is_slow(number):
        await connection.send(_SLOWLY)
    return connection


def _is_slow(number: int) -> bool:
    return number % _SLOW_AMONG == 0


async def _drip(crowd: list[Connection]) -> None:
    while True:
        for one in [one for one in crowd[::_SLOW_AMONG] if not one.closed]:
            with suppress(OSError):
                await one.send(b" ")
        await asyncio.sleep(1)


async def _kill(crowd: list[Connection], address: Address) -> None:
    """And let another one come in its place; the server may have closed it before, since it was silent for too long."""
    while True:
        await asyncio.sleep(1 / _KILLED_A_SECOND)
        number = random.randrange(len(crowd))
        with suppress(OSError):
            crowd[number].close(reset=True)
            crowd[number] = await _join(number, address)
