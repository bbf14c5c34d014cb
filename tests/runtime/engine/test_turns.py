"""Whose turn it is: tables, and what holds for any number of askers."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.engine import Engine
from runtime.engine.errors import OriginsShareFull
from runtime.engine.turns import Turns, first_of_each, gives_way, may_wait
from runtime.engine.types import GenerationRequest
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext

NEXT = [
    ("the only one", "a", "", "", "a"),
    ("who came first", "ba", "", "", "b"),
    ("who has fewer running", "ab", "aab", "", "b"),
    ("who was served longest ago", "ab", "", "ba", "b"),
    ("who was never served", "abc", "", "ab", "c"),
    ("fewer running comes before longest ago", "ab", "b", "ba", "a"),
]


@pytest.mark.parametrize(("waiting", "running", "served", "expected"), [r[1:] for r in NEXT], ids=[r[0] for r in NEXT])
def test_who_is_next(waiting: str, running: str, served: str, expected: str) -> None:
    turns = Turns()
    for asker in served:
        turns.give(asker)
    assert turns.next_of(waiting, Counter(running)) == expected


WAY = [
    ("nobody waits", "", "aa", None),
    ("all who wait have some", "a", "aab", None),
    ("each has one", "c", "ab", None),
    ("who has most", "c", "abb", "b"),
]


@pytest.mark.parametrize(("waiting", "running", "expected"), [row[1:] for row in WAY], ids=[row[0] for row in WAY])
def test_who_gives_way(waiting: str, running: str, expected: str | None) -> None:
    assert gives_way(waiting, Counter(running)) == expected


@given(st.lists(st.integers(0, 4), max_size=30))
def test_nobody_has_a_second_before_everybodys_first(askers: list[int]) -> None:
    order = first_of_each(askers)
    assert sorted(order) == list(range(len(askers)))
    before: Counter[int] = Counter()
    ranks = []
    for number in order:
        ranks.append(before[askers[number]])
        before[askers[number]] += 1
    assert ranks == sorted(ranks)
    for asker in set(askers):
        own = [number for number in order if askers[number] == asker]
        assert own == sorted(own)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 8))
def test_slots_are_shared_however_much_each_wants(wants: list[int], slots: int) -> None:
    """While two have something waiting, neither has been given two more than the other."""
    turns, left, given_to = Turns(), dict(enumerate(wants)), Counter[int]()
    running: list[int] = []
    while any(left.values()):
        if len(running) == slots:
            running.pop(0)
        asker = turns.next_of([one for one, count in left.items() if count], Counter(running))
        assert isinstance(asker, int)
        turns.give(asker)
        running.append(asker)
        left[asker] -= 1
        given_to[asker] += 1
        waiting = [given_to[one] for one, count in left.items() if count]
        assert max(waiting, default=0) - min(waiting, default=0) <= 1


@given(st.lists(st.integers(0, 3), max_size=200), st.integers(1, 64))
def test_nobody_fills_the_queue_alone(arrivals: list[int], most: int) -> None:
    """Each that is taken has left as many places free, so one alone has at most half."""
    queue: Counter[int] = Counter()
    for origin in arrivals:
        if may_wait(queue[origin], queue.total(), most):
            queue[origin] += 1
            assert queue[origin] <= most - queue.total() + 1
    assert queue.total() <= most
    assert len(queue) > 1 or queue.total() <= (most + 1) // 2


def submitted(engine: Engine, origin: str) -> int:
    """How many of twenty requests are taken, each of another connection."""
    count = 0
    for number in range(20):
        with suppress(OriginsShareFull):
            engine.submit(request(number + 1, max_tokens=1), asker=number, origin=origin)
            count += 1
    return count


def test_others_find_room_in_a_queue_that_one_has_tried_to_fill() -> None:
    context = FakeContext(n_slots=1, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        taken = {origin: submitted(engine, origin) for origin in ("one", "two", "three")}
        assert taken["one"] in (5, 6), "half of ten wait, and one may run"
        assert taken["two"] in (2, 3)
        assert taken["three"] >= 1

    with_engine(context, body, max_waiting=10)


def test_one_who_asks_for_many_keeps_nobody_waiting() -> None:
    """All slots are taken by one asker's answers, and more wait; another's is computed at once."""

    context = FakeContext(n_ctx=2000, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        many = [engine.submit(request(1, max_tokens=60), "many") for _ in range(12)]
        context.gate.release()
        await many[0].bursts().__anext__()
        one = engine.submit(request(500, max_tokens=3), "one")
        context.gate.release(6)  # one of the others' may be on its way
        text, _last = await collect(one)
        assert text == "501 502 503 "
        context.gate.release(10_000)
        for generation in many[1:]:
            text, _last = await collect(generation)
            assert text == "".join(f"{n} " for n in range(2, 62))

    with_engine(context, body)


def test_who_waits_for_a_slot_of_its_own_moves_nobody() -> None:
    context = FakeContext(n_ctx=2000, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        many = [engine.submit(request(100 * i, max_tokens=50), "many") for i in range(1, 5)]
        context.gate.release()
        await many[0].bursts().__anext__()
        other = engine.submit(GenerationRequest((7,), max_tokens=1, slot=0), "one")
        context.gate.release(1000)
        await collect(other)
        for generation in many[1:]:
            await collect(generation)

    with_engine(context, body)
    assert sum(len(item.tokens) for batch in context.batches for item in batch) == 4 * 50 + 1
