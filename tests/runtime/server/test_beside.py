"""Work beside the event loop: it ends with its next part when nobody waits for it, and is not begun without one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from runtime.engine.wanted import NobodyWaits, check_wanted
from runtime.server import beside
from runtime.server.beside import LARGE, SMALL, beside_the_loop
from runtime.server.receiving import _Held
from runtime.server.refusals import BodiesTooLarge


class Request:
    """As much of one as is looked at."""

    def __init__(self, size: int) -> None:
        self._body = bytes(size)

    async def read(self) -> bytes:
        return self._body


def run(request: Any, make: Any) -> Any:
    return beside_the_loop(request, make)


@pytest.mark.parametrize("size", [SMALL + 1, LARGE + 1])
def test_it_ends_when_its_client_leaves(size: int) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless() -> None:
        begun.set()
        try:
            while True:
                check_wanted()
        except NobodyWaits:
            ended.set()
            raise

    async def main() -> None:
        task = asyncio.create_task(run(Request(size), endless))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 30)

    asyncio.run(main())


def test_large_ones_wait_for_large_ones_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what waits for a client that leaves is never begun."""
    monkeypatch.setattr(beside, "_MOST_FOR_LARGE", 1)
    beside._for_large.cache_clear()
    begun, goes_on, never = threading.Event(), threading.Event(), threading.Event()

    def held_up() -> str:
        begun.set()
        assert goes_on.wait(30)
        return "done"

    async def main() -> None:
        first = asyncio.create_task(run(Request(LARGE + 1), held_up))
        await asyncio.to_thread(begun.wait, 30)
        second = asyncio.create_task(run(Request(LARGE + 1), never.set))
        assert await run(Request(SMALL + 1), lambda: "small") == "small"
        assert await run(Request(1), lambda: threading.current_thread()) is threading.main_thread()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        goes_on.set()
        assert await first == "done"
        assert await run(Request(LARGE + 1), lambda: "next") == "next"

    asyncio.run(main())
    assert not never.is_set()
    beside._for_large.cache_clear()


def test_what_is_asked_outside_of_such_work_is_always_wanted() -> None:
    check_wanted()


def test_bodies_have_so_much_room_together() -> None:
    held = _Held(10)
    with held.share() as take:
        take(6)
        with held.share() as other:
            other(4)
            with pytest.raises(BodiesTooLarge):
                other(1)
        take(4)
    with held.share() as take:
        take(10)
