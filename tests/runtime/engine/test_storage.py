"""What lies in the pool without being used is moved out of it, and found again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from runtime.engine.backend import BatchItem
from runtime.engine.cache import PrefixCache
from runtime.engine.engine import Engine
from runtime.engine.shelf import Kept, Shelf
from runtime.engine.storage import Storage
from runtime.engine.types import FinishedEvent, GenerationRequest
from support.fakes import FACTS, FakeContext, FakeModel

A, B, C = (list(range(first, first + 40)) for first in (100, 200, 300))
TOKEN = 8
"""Bytes of the fake's state for each token."""


class Pool:
    """A cache, the memory it stands for, and the storage between them."""

    def __init__(self, shelf_bytes: int = 10_000, n_ctx: int = 200, size: int = 80_000, n_slots: int = 4) -> None:
        self.context = FakeContext(n_ctx=n_ctx, n_slots=n_slots, n_batch=1000)
        self.cache = PrefixCache(n_slots, self.context.holds)
        self.storage = Storage(self.context, msgspec.structs.replace(FACTS, size=size), self.cache, Shelf(shelf_bytes))

    def begin(self, prompt: list[int], scales: tuple[float, ...] = ()) -> tuple[int, int]:
        """Start `prompt` and compute it; returns its slot, and how much of it was there."""
        self.storage.fetch(prompt, scales)
        start = self.cache.acquire(prompt, scales, give_up=self.storage.keep)
        if start.copy_from is not None:
            self.context.keep_prefix(start.slot, 0)
            self.context.copy_prefix(start.copy_from, start.slot, start.reuse)
        else:
            self.context.keep_prefix(start.slot, start.reuse)
        self.context.decode([BatchItem(start.slot, start.reuse, tuple(prompt[start.reuse :]), 1)], scales)
        self.cache.computed(start.slot, prompt[start.reuse :])
        return start.slot, start.reuse

    def run(self, prompt: list[int], scales: tuple[float, ...] = ()) -> int:
        """The same to its end; returns how much of it was there."""
        slot, reuse = self.begin(prompt, scales)
        self.cache.release(slot)
        return reuse

    def tidy(self) -> None:
        while self.storage.tidy():
            pass

    def held(self) -> list[list[int]]:
        """What the memory holds, which must be what the cache says."""
        held = [[token for token, _cell in cells] for cells in self.context.held]
        assert held == [list(self.cache.tokens(slot)) for slot in range(len(held))]
        return [tokens for tokens in held if tokens]


def test_what_was_used_last_stays() -> None:
    pool = Pool()
    for prompt in (A, B, C):
        pool.run(prompt)
    pool.tidy()
    assert pool.held() == [C]
    assert pool.run([*A, 1, 2]) == len(A)
    assert pool.held() == [[*A, 1, 2], C] or pool.held() == [C, [*A, 1, 2]]


def test_what_runs_stays() -> None:
    pool = Pool()
    pool.begin(A)
    pool.run(B)
    pool.tidy()
    pool.storage.make_way()
    assert pool.held() == [A]


def test_without_memory_for_it_nothing_is_moved() -> None:
    pool = Pool(shelf_bytes=0)
    for prompt in (A, B, C):
        pool.run(prompt)
    pool.tidy()
    pool.storage.make_way()
    assert sorted(pool.held()) == [A, B, C]


def test_what_takes_longer_than_a_token_is_not_moved_before_a_batch() -> None:
    """All of the weights are read for each token: an eighth of that."""
    pool = Pool(size=8 * TOKEN * 90)
    for prompt in (A, B, C):
        pool.run(prompt)
    pool.storage.make_way()
    assert pool.held() == [C], "two of forty tokens are fewer than ninety, three are more"


@pytest.mark.parametrize("n_slots", [1, 2])
def test_conversations_that_take_turns_lose_nothing(n_slots: int) -> None:
    """More of them than slots, without a moment to tidy, and each too large to be moved in no time."""
    pool = Pool(size=1, n_slots=n_slots)
    for prompt in (A, B, C):
        pool.run(prompt)
    for prompt in (A, B, C):
        assert pool.run([*prompt, 1, 2]) == len(prompt)


def test_a_text_that_goes_on_otherwise_is_kept_where_most_of_it_would_be_lost() -> None:
    pool = Pool(n_slots=1)
    pool.run([*A, *B, *C])
    pool.run([*A, 1, 2])
    assert pool.run([*A, *B, *C]) == 3 * len(A) - 1


def test_what_is_larger_than_the_shelf_stays() -> None:
    pool = Pool(shelf_bytes=TOKEN * 60)
    pool.run([*A, *B])
    pool.run(C)
    pool.tidy()
    assert sorted(pool.held()) == [[*A, *B], C]


def test_it_is_worth_fetching_or_it_is_left() -> None:
    pool = Pool()
    pool.run([*A, *B])
    pool.run(C)
    pool.tidy()
    assert pool.run([*A[:20], 1, 2]) == 0
    assert pool.run([*A, *B]) == len(A) + len(B) - 1


def test_other_adapters_find_nothing() -> None:
    pool = Pool()
    pool.run(A, (1.0,))
    pool.run(B)
    pool.tidy()
    assert pool.run(A, (0.5,)) == 0
    assert pool.run(A, (1.0,)) == len(A) - 1


def test_room_is_made_for_what_is_fetched() -> None:
    pool = Pool(n_ctx=100)
    pool.run([*A, *B])
    pool.run(C[:10])
    pool.tidy()
    pool.run(C)
    pool.run([1, 2, 3] * 15)
    assert pool.run([*A, *B, 1]) == len(A) + len(B)


def test_what_does_not_fit_any_more_is_computed() -> None:
    pool = Pool(n_ctx=100)
    pool.run([*A, *B])
    pool.run(C[:10])
    pool.tidy()
    pool.begin(C)
    assert pool.context.used() == 40
    pool.storage.fetch([*A, *B, 1], ())
    assert pool.held() == [C], "nothing of it is left in the pool"


def test_who_makes_room_keeps_what_they_can() -> None:
    pool = Pool()
    pool.run(A)
    assert pool.storage.evict()
    assert pool.held() == []
    assert not pool.storage.evict()
    assert pool.run(A) == len(A) - 1


def test_the_shelf_keeps_the_latest_within_its_bounds() -> None:
    shelf = Shelf(100)
    for number in range(5):
        shelf.put(Kept([number, 1, 2], (), memoryview(bytes(40))))
    assert shelf.size == 80
    assert [shelf.longest_prefix([number, 1, 2, 3], ())[1] for number in range(5)] == [0, 0, 0, 3, 3]
    shelf.put(Kept([4, 1, 2, 5], (), memoryview(bytes(60))))
    assert shelf.size == 100, "what it begins with is needless"
    assert shelf.longest_prefix([3, 1, 2, 3], ())[1] == 3
    for number in range(500):
        shelf.put(Kept([number], (), memoryview(b"")))
    assert sum(shelf.longest_prefix([number, 0], ())[1] for number in range(500)) < 100


@pytest.mark.parametrize("shelf_bytes", [0, 3_000, 1_000_000])
@pytest.mark.parametrize("keeps_state", [False, True])
def test_texts_are_the_same_with_and_without(shelf_bytes: int, keeps_state: bool) -> None:
    """Conversations take turns, and each goes on where it was, wherever that lies by then."""
    context = FakeContext(n_ctx=300, n_slots=2, n_batch=64, n_ubatch=32, model=FakeModel(keeps_state=keeps_state))

    async def talk() -> list[int]:
        cached = []
        histories = [[1000 * number + token for token in range(40)] for number in (1, 2, 3, 4)]
        for _ in range(3):
            for history in histories:
                said: list[int] = []
                async for event in engine.submit(GenerationRequest(tuple(history), max_tokens=8)):
                    if isinstance(event, FinishedEvent):
                        cached.append(event.usage.cached_tokens)
                    else:
                        said += event.tokens
                assert said == list(range(history[-1] + 1, history[-1] + 9))
                history += said
        return cached

    engine = Engine(lambda: context, shelf_bytes=shelf_bytes)
    engine.start()
    engine.ready.result()
    try:
        cached = asyncio.run(talk())
    finally:
        engine.stop()
        engine.join()
    if shelf_bytes > 3_000 and not keeps_state:
        assert cached == [0, 0, 0, 0, *[47] * 4, *[55] * 4], "all of each conversation is found again"
    else:
        assert cached[:4] == [0, 0, 0, 0]
