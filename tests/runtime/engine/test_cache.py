"""Which KV sequence a request starts in, and what it finds there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from runtime.engine.beginnings import common_prefix
from runtime.engine.cache import PrefixCache, Start


def ANYTHING(_slot: int, _length: int) -> bool:  # noqa: N802
    """A memory that holds whatever was computed."""
    return True


A, B = list(range(100, 120)), list(range(200, 220))


def finish(cache: PrefixCache, prompt: list[int]) -> int:
    """Run a request to its end; returns its slot."""
    start = cache.acquire(prompt)
    cache.computed(start.slot, prompt[start.reuse :])
    cache.release(start.slot)
    return start.slot


def test_an_empty_cache_gives_nothing() -> None:
    assert PrefixCache(2, ANYTHING).acquire(A) == Start(0, 0, None)


def test_a_finished_sequence_is_continued_where_it_lies() -> None:
    cache = PrefixCache(2, ANYTHING)
    slot = finish(cache, A)
    assert cache.acquire([*A, 1, 2]) == Start(slot, len(A), None)


def test_the_same_prompt_again_leaves_one_token_to_compute() -> None:
    cache = PrefixCache(2, ANYTHING)
    slot = finish(cache, A)
    assert cache.acquire(A) == Start(slot, len(A) - 1, None)


def test_a_running_sequence_is_copied_from() -> None:
    cache = PrefixCache(2, ANYTHING)
    running = cache.acquire(A)
    cache.computed(running.slot, A)
    assert cache.acquire([*A, 1]) == Start(1 - running.slot, len(A), running.slot)


def test_only_what_is_computed_is_copied() -> None:
    cache = PrefixCache(2, ANYTHING)
    running = cache.acquire(A)
    cache.computed(running.slot, A[:7])
    assert cache.acquire(A).reuse == 7


def test_a_prefix_that_is_being_computed_is_worth_waiting_for() -> None:
    prefix = list(range(100))
    cache = PrefixCache(2, ANYTHING)
    running = cache.acquire([*prefix, 1])
    assert cache.coming([*prefix, 2])
    assert not cache.coming([*prefix[:20], 2]), "too little to wait for"
    assert not cache.coming([5, 6, 7])
    cache.computed(running.slot, prefix[:80])
    assert not cache.coming([*prefix, 2]), "what is still missing is too little to wait for"
    cache.computed(running.slot, [*prefix[80:], 1])
    assert not cache.coming([*prefix, 2]), "it is there"
    assert cache.acquire([*prefix, 2]).reuse == 100


def test_nobody_waits_for_what_has_ended_or_cannot_be_copied() -> None:
    prefix = list(range(100))
    ended = PrefixCache(2, ANYTHING)
    ended.release(ended.acquire([*prefix, 1]).slot)
    assert not ended.coming([*prefix, 2])
    whole_only = PrefixCache(2, ANYTHING, keeps_state=True)
    whole_only.acquire([*prefix, 1])
    assert not whole_only.coming([*prefix, 2])


def test_a_long_cache_is_not_given_up_for_a_short_prefix() -> None:
    cache = PrefixCache(2, ANYTHING)
    slot = finish(cache, A)
    assert cache.acquire([*A[:3], 1, 2]) == Start(1 - slot, 3, slot)


def test_the_oldest_cache_goes_first() -> None:
    cache = PrefixCache(2, ANYTHING)
    first, second = finish(cache, A), finish(cache, B)
    assert first != second
    assert cache.evict() == first
    assert cache.acquire([1, 2, 3]).slot == first


def test_reuse_can_be_declined() -> None:
    cache = PrefixCache(2, ANYTHING)
    finish(cache, A)
    assert cache.acquire(A, reuse=False).reuse == 0


def test_a_slot_may_be_wanted() -> None:
    """What it holds is gone on from where that is as much as others hold; else it shares what they do."""
    cache = PrefixCache(3, ANYTHING)
    first, second = finish(cache, [*A, 1]), finish(cache, B)
    other = 3 - first - second
    assert cache.acquire([*A, 2], wanted=other) == Start(other, len(A), first)
    cache.computed(other, [2])
    cache.release(other)
    for slot in (first, other):
        assert cache.acquire([*A, 3], wanted=slot) == Start(slot, len(A), None)
        cache.release(slot)
    assert cache.acquire(A[:5], wanted=second).slot == second
    assert cache.is_running(second)


def test_a_memory_without_partial_prefixes_continues_whole_sequences_only() -> None:
    cache = PrefixCache(2, ANYTHING, keeps_state=True)
    slot = finish(cache, A)
    assert cache.acquire([*A, 1]) == Start(slot, len(A), None)
    cache.release(slot)
    assert PrefixCache(2, ANYTHING, keeps_state=True).acquire(A).reuse == 0
    other = PrefixCache(2, ANYTHING, keeps_state=True)
    finish(other, A)
    assert other.acquire([*A[:10], 1]).reuse == 0


def test_what_the_memory_does_not_hold_is_not_reused() -> None:
    """As behind a sliding window: the memory says what can still be continued from."""
    asked: list[tuple[int, int]] = []

    def holds(slot: int, length: int) -> bool:
        asked.append((slot, length))
        return length >= 15

    cache = PrefixCache(2, holds)
    slot = finish(cache, A)
    assert cache.acquire([*A[:10], 1]) == Start(1 - slot, 0, None)
    assert asked == [(slot, 10)]
    assert cache.acquire([*A[:15], 1]) == Start(slot, 15, None)


def test_what_other_adapters_computed_is_not_reused() -> None:
    cache = PrefixCache(3, ANYTHING)
    slot = finish(cache, A)
    other = cache.acquire([*A, 1], (0.5,))
    assert (other.reuse, other.copy_from) == (0, None)
    assert not cache.coming([*A, 2], ())
    assert cache.acquire([*A, 1], ()) == Start(slot, len(A), None)


def test_a_prefix_that_comes_with_other_adapters_is_not_waited_for() -> None:
    prefix = list(range(100))
    cache = PrefixCache(2, ANYTHING)
    cache.acquire([*prefix, 1], (1.0,))
    assert cache.coming([*prefix, 2], (1.0,))
    assert not cache.coming([*prefix, 2], (0.0,))


def test_shared_cells_count_once() -> None:
    cache = PrefixCache(3, ANYTHING)
    running = cache.acquire(A)
    cache.computed(running.slot, A)
    copy = cache.acquire([*A, 1])
    assert copy.copy_from == running.slot
    assert cache.cells == len(A)
    cache.computed(copy.slot, [1])
    assert cache.cells == len(A) + 1
    cache.release(running.slot)
    cache.cut(running.slot, 0)
    assert cache.cells == len(A) + 1, "the copy still holds them"


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(a: list[int], b: list[int]) -> None:
    length = common_prefix(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]


class CacheMachine(RuleBasedStateMachine):
    """Any order of requests over a pool of cells, as llama.cpp would keep them: what is reused is what was computed."""

    running = Bundle("running")

    @initialize(slots=st.integers(1, 4), keeps_state=st.booleans())
    def start(self, slots: int, keeps_state: bool) -> None:
        self.cache = PrefixCache(slots, ANYTHING, keeps_state=keeps_state)
        self.held: list[list[tuple[int, object]]] = [[] for _ in range(slots)]
        self.scales: list[tuple[float, ...]] = [()] * slots
        self.busy: set[int] = set()

    @precondition(lambda self: self.cache.has_free_slot())
    @rule(
        target=running,
        prompt=st.lists(st.integers(0, 2), min_size=1, max_size=12),
        scales=st.sampled_from([(0.0,), (1.0,)]),
        reuse=st.booleans(),
        wanted=st.none() | st.integers(0, 3),
    )
    def admit(
        self, prompt: list[int], scales: tuple[float, ...], reuse: bool, wanted: int | None
    ) -> tuple[int, list[int]]:
        if wanted is not None and (wanted >= self.cache.n_slots or self.cache.is_running(wanted)):
            wanted = None
        start = self.cache.acquire(prompt, scales, reuse=reuse, wanted=wanted)
        assert start.slot not in self.busy
        assert wanted in (None, start.slot)
        assert start.reuse < len(prompt)
        source = start.slot if start.copy_from is None else start.copy_from
        assert [token for token, _cell in self.held[source][: start.reuse]] == prompt[: start.reuse]
        assert not start.reuse or self.scales[source] == scales
        self.held[start.slot] = self.held[source][: start.reuse]
        self.scales[start.slot] = scales
        self.busy.add(start.slot)
        return start.slot, prompt[start.reuse :]

    @rule(request=consumes(running), target=running, count=st.integers(0, 5))
    def compute(self, request: tuple[int, list[int]], count: int) -> tuple[int, list[int]]:
        slot, rest = request
        self.cache.computed(slot, rest[:count])
        self.held[slot] = self.held[slot] + [(token, object()) for token in rest[:count]]
        return slot, rest[count:]

    @rule(request=consumes(running), length=st.integers(0, 12))
    def cut_and_finish(self, request: tuple[int, list[int]], length: int) -> None:
        slot, _rest = request
        self.cache.cut(slot, length)
        self.held[slot] = self.held[slot][:length]
        self.cache.release(slot)
        self.busy.discard(slot)

    @rule()
    def evict(self) -> None:
        slot = self.cache.evict()
        if slot is not None:
            assert slot not in self.busy
            assert self.held[slot]
            self.cache.cut(slot, 0)
            self.held[slot] = []

    @invariant()
    def free_slots_are_known(self) -> None:
        assert self.cache.has_free_slot() == (len(self.busy) < len(self.held))

    @invariant()
    def cells_are_counted(self) -> None:
        assert self.cache.cells == len({id(cell) for cells in self.held for _token, cell in cells})


TestCacheMachine = CacheMachine.TestCase
