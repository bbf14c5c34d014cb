"""Models that nobody asks are unloaded after a while, and loaded again for whoever asks next.

Knows clocks and requests: a request that does more than look keeps its model for so long after its end. Of several
models only so many are loaded at once. Refuses to know how a model is unloaded and loaded again (`engine/`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from runtime.engine.engine import Engine
from runtime.engine.errors import ModelAsleep
from runtime.engine.uses import Uses, counted_in

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that keep no model loaded."""


class Sleeper:
    """One model, that sleeps when nobody has used it for so many `seconds`; infinity: never."""

    def __init__(self, engine: Engine, seconds: float = math.inf) -> None:
        self.engine = engine
        self.used_at = 0.0
        """By the event loop's clock."""
        self._usual_seconds = seconds
        self._seconds = seconds
        self._may_sleep = True
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, seconds: float) -> None:
        """So long from now on, until it is unloaded; it counts from the end of the request that says so.

        As Ollama's scheduler does it (`sched.go`): else one client's 0 would have the model loaded for each request of
        all others.
        """
        self._seconds = seconds

    def stay_awake(self) -> None:
        """It is used by others than requests."""
        self._may_sleep = False

    @property
    def seconds_left(self) -> float:
        """Until it is unloaded, if nobody uses it from now on."""
        if not self._may_sleep:
            return math.inf
        if self.engine.is_used:
            return self._seconds
        return max(self.used_at + self._seconds - asyncio.get_running_loop().time(), 0.0)

    def let_go(self, *, counts: bool) -> None:
        """A request has ended. `counts`: it has used the model, else only looked."""
        if counts:
            self.used_at = asyncio.get_running_loop().time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._may_sleep and self._seconds < math.inf and not self.engine.is_asleep:
            self._timer = asyncio.get_running_loop().call_at(self.used_at + self._seconds, self._fall_asleep)

    def unload(self) -> bool:
        """Whether it is unloaded now: nobody uses it, and nobody has said that it is to stay."""
        if not (self._may_sleep and self.engine.sleep()):
            return False
        self._seconds = self._usual_seconds
        return True

    def _fall_asleep(self) -> None:
        self._timer = None
        self.unload()  # where somebody uses it, the end of that begins anew


class Sleepers:
    """All models of a server, of which `at_most` so many are loaded at once; None: all may be."""

    def __init__(self, sleepers: Sequence[Sleeper], at_most: int | None = None) -> None:
        self._of = {one.engine: one for one in sleepers}
        self._at_most = at_most
        self._coming: set[Engine] = set()
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """All are loaded, or asleep: time counts from now on."""
        for one in self._of.values():
            one.let_go(counts=True)

    def stay_awake(self) -> None:
        """They are used by others than requests."""
        for one in self._of.values():
            one.stay_awake()

    async def wake(self, engine: Engine) -> None:
        """Have `engine`'s model loaded; where that is one too many, another is unloaded first, as soon as none is used.

        Raises `CannotWake`, `EngineStopped`.
        """
        while engine.is_asleep:
            awake = sum(not one.is_asleep for one in self._of) + len(self._coming - {engine})
            if self._at_most is None or engine in self._coming or awake < self._at_most:
                self._coming.add(engine)
                try:
                    await asyncio.wrap_future(engine.wake())
                finally:
                    self._coming.discard(engine)
                    self._changed.set()
            else:
                await self._make_room()

    async def _make_room(self) -> None:
        """Unload the model that has not been used for longest, or wait until one might be."""
        self._changed.clear()
        longest = sorted(self._of.values(), key=lambda one: one.used_at)
        gone = next((one for one in longest if not one.engine.is_asleep and one.unload()), None)
        if gone is None:
            await self._changed.wait()
        else:  # what is done after that is done when its memory is free
            await asyncio.wrap_future(gone.engine.in_worker(lambda: None))

    def end(self, uses: Uses, *, counts: bool) -> None:
        """A request that has used these has ended, with all that was done for it."""
        for engine, one in self._of.items():
            if engine in uses.used:
                one.let_go(counts=counts)
        self._changed.set()


def waking(sleepers: Sleepers) -> Middleware:
    """A middleware that has a model that is asked loaded first, and keeps it loaded while it is."""

    @web.middleware
    async def keep_awake(request: web.Request, handler: Handler) -> web.StreamResponse:
        loop, counts = asyncio.get_running_loop(), request.method not in _LOOKING
        uses = Uses(lambda: _call_in(loop, sleepers, uses, counts=counts))
        woken: set[Engine] = set()
        with counted_in(uses):
            try:
                while True:
                    try:
                        return await handler(request)
                    except ModelAsleep as asleep:
                        engine = asleep.engine
                        assert isinstance(engine, Engine)
                        assert engine not in woken, "what is used stays awake"
                    uses.add(engine)
                    woken.add(engine)
                    await sleepers.wake(engine)
            finally:
                uses.let_go()

    return keep_awake


def _call_in(loop: asyncio.AbstractEventLoop, sleepers: Sleepers, uses: Uses, *, counts: bool) -> None:
    """Tell that a request has ended, in its `loop`, from whichever thread was the last at it."""
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        sleepers.end(uses, counts=counts)
    else:
        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(lambda: sleepers.end(uses, counts=counts))
