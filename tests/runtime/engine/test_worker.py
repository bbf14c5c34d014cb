"""Whose turn it is: the worker over clients that only pass the time, on a clock of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine.worker import Worker


@dataclass
class Clock:
    """Seconds that pass only when a client takes a turn."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Passing:
    """Wants turns of `cost` seconds from `since` on; `turns` of them, then it ends."""

    clock: Clock
    cost: float
    turns: int = 10**9
    since: float = 0.0
    until: float = float("inf")
    ended: bool = False
    had: float = 0.0
    taken: list[float] = field(default_factory=list)
    beside: list[bool] = field(default_factory=list)
    untidy: int = 0
    during: Callable[[], None] = lambda: None

    def wants_turn(self) -> bool:
        return self.clock.now >= self.since

    def wants_to_tidy(self) -> bool:
        return self.untidy > 0

    def take_turn(self, *, beside_others: bool) -> bool:
        self.during()
        if not self.wants_turn():
            self.untidy -= 1
            self.taken.append(-1)
            self.clock.now += 1
            return True
        self.taken.append(self.clock.now)
        self.beside.append(beside_others)
        self.had += self.cost
        self.clock.now += self.cost
        self.turns -= 1
        return self.turns > 0 and self.clock.now < self.until


def work(clock: Clock, *clients: Passing) -> None:
    """Until all have ended. The first brings in the others, as engines do that have loaded later."""
    worker = Worker(clock)
    first, *others = clients

    def bring_in() -> None:
        while others:
            worker.work_for(others.pop(0))

    first.during = bring_in
    worker.work_for(first)


def test_long_batches_get_fewer_turns() -> None:
    """Turns of 1 and of 30 seconds: each has had half the time, and neither waits for longer than fair."""
    clock = Clock()
    short, long = Passing(clock, 1, until=600), Passing(clock, 30, until=600)
    work(clock, short, long)
    assert abs(short.had - long.had) <= 31
    gaps = [after - before for before, after in pairwise(short.taken)]
    assert max(gaps) <= 31


@settings(deadline=None)
@given(st.lists(st.floats(1, 50), min_size=2, max_size=5))
def test_time_is_shared_evenly(costs: list[float]) -> None:
    clock = Clock()
    clients = [Passing(clock, cost, until=500) for cost in costs]
    work(clock, *clients)
    had = [client.had for client in clients]
    assert max(had) - min(had) <= 2 * max(costs) + 0.01


def test_who_was_idle_has_saved_nothing_up() -> None:
    """It comes next, and then takes turns: it does not get all of what it has missed."""
    clock = Clock()
    steady, late = Passing(clock, 1, until=200), Passing(clock, 1, since=100, until=200)
    work(clock, steady, late)
    assert late.taken[0] <= 101
    assert abs(late.had - 50) <= 2


def test_nobody_who_waits_is_kept_waiting_by_those_who_come() -> None:
    """However many come later, who has waited longest at its share is not passed over."""
    clock = Clock()
    clients = [Passing(clock, 1, since=10 * i, until=500) for i in range(5)]
    work(clock, *clients)
    for client in clients:
        after = [when for when in client.taken if when >= 60]
        assert max(b - a for a, b in pairwise(after)) <= 6


def test_turns_are_short_beside_others_only() -> None:
    clock = Clock()
    first, second = Passing(clock, 1, turns=5), Passing(clock, 1, turns=2)
    work(clock, first, second)
    assert first.beside == [False, True, False, False, False]
    assert second.beside == [True, True]


def test_tidying_waits_until_nobody_has_anything_else_to_do() -> None:
    clock = Clock()
    untidy, busy = Passing(clock, 1, turns=1, since=13, untidy=3), Passing(clock, 1, turns=10)
    work(clock, busy, untidy)
    assert untidy.taken[:3] == [-1, -1, -1]
    assert len(busy.taken) == 10


def test_a_worker_begins_again_after_all_have_ended() -> None:
    clock = Clock()
    worker = Worker(clock)
    for _ in range(2):
        client = Passing(clock, 1, turns=3)
        worker.work_for(client)
        assert len(client.taken) == 3


@pytest.mark.parametrize("count", [1, 4])
def test_each_wake_up_is_heard(count: int) -> None:
    """Clients whose threads come at once: one thread works for all, and all end."""
    worker = Worker()
    clock = Clock()
    clients = [Passing(clock, 0, turns=50) for _ in range(count)]
    threads = [threading.Thread(target=worker.work_for, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [client.turns for client in clients] == [0] * count
