"""The thread that computes, for one engine or for several: who has had least of it comes next.

There is one for all models of a process, because llama.cpp's threads (OpenMP's) belong to the thread that calls it.
With a second team of them there are more threads than processors, and none of them waits actively for the others any
more: once a second model had computed anything, the first one lost a third of its speed, although the second was idle
(`scripts/bench sharing`).

Knows whose turn it is. What is done in a turn is the engine's to know.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import msgspec


class Client(Protocol):
    """What is computed for: an engine, as soon as it has loaded its model."""

    def wants_turn(self) -> bool: ...
    def take_turn(self, *, beside_others: bool) -> bool: ...
    def wants_to_tidy(self) -> bool: ...


class _Share(msgspec.Struct, eq=False):
    """A client, and how many seconds it has had, since it came or as if it had always come."""

    client: Client
    seconds: float


class Worker:
    """Turns for all clients, by time: one that computes long batches gets fewer of them.

    Clients that had nothing to do save nothing up: they come in as if they had had as much as the others. `clock`
    counts seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.wake = threading.Condition()
        """To be notified when a client begins to want a turn."""
        self._shares: list[_Share] = []
        self._clock = clock
        self._is_running = False
        self._had_by_all = 0.0

    def work_for(self, client: Client) -> None:
        """Give `client` turns until it ends. The thread that calls first does it for all that come later."""
        with self.wake:
            self._shares.append(_Share(client, self._had_by_all))
            if self._is_running:
                self.wake.notify()
                return
            self._is_running = True
        while ready := self._wait_for_work():
            self._give_turn(ready)

    def others_wait(self, client: Client) -> bool:
        """Whether any other than `client`, whose turn it is, wants one."""
        return any(share.client.wants_turn() for share in self._shares if share.client is not client)

    def _wait_for_work(self) -> list[_Share]:
        """Those that want a turn, as soon as there are any; none when all have ended."""
        ready = self._ready()
        if not ready:
            with self.wake:
                while self._shares and not (ready := self._ready()):
                    self.wake.wait()
                self._is_running = bool(self._shares)
        return ready

    def _ready(self) -> list[_Share]:
        """Those that have work to do; where none has, those that have something to tidy."""
        ready = [share for share in self._shares if share.client.wants_turn()]
        return ready or [share for share in self._shares if share.client.wants_to_tidy()]

    def _give_turn(self, ready: list[_Share]) -> None:
        share = min(ready, key=self._had)
        self._had_by_all = self._had(share)
        began = self._clock()
        goes_on = share.client.take_turn(beside_others=len(ready) > 1)
        share.seconds = self._had_by_all + self._clock() - began
        if not goes_on:
            with self.wake:
                self._shares.remove(share)

    def _had(self, share: _Share) -> float:
        return max(share.seconds, self._had_by_all)
