"""Which KV sequence a request starts in, and what it finds there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from runtime.engine.cache import PrefixCache, Start, common_prefix

A, B = list(range(100, 120)), list(range(200, 220))


def finish(cache: PrefixCache, prompt: list[int]) -> int:
    """Run a request to its end; returns its slot."""
    start = cache.acquire(prompt, reuse=True)
    cache.computed(start.slot, prompt[start.reuse :])
    cache.release(start.slot)
    return start.slot


def test_an_empty_cache_gives_nothing() -> None:
    assert PrefixCache(2, partial=True).acquire(A, reuse=True) == Start(0, 0, None)


def test_a_finished_sequence_is_continued_where_it_lies() -> None:
    cache = PrefixCache(2, partial=True)
    slot = finish(cache, A)
    assert cache.acquire([*A, 1, 2], reuse=True) == Start(slot, len(A), None)


def test_the_same_prompt_again_leaves_one_token_to_compute() -> None:
    cache = PrefixCache(2, partial=True)
    slot = finish(cache, A)
    assert cache.acquire(A, reuse=True) == Start(slot, len(A) - 1, None)


def test_a_running_sequence_is_copied_from() -> None:
    cache = PrefixCache(2, partial=True)
    running = cache.acquire(A, reuse=True)
    cache.computed(running.slot, A)
    assert cache.acquire([*A, 1], reuse=True) == Start(1 - running.slot, len(A), running.slot)


def test_only_what_is_computed_is_copied() -> None:
    cache = PrefixCache(2, partial=True)
    running = cache.acquire(A, reuse=True)
    cache.computed(running.slot, A[:7])
    assert cache.acquire(A, reuse=True).reuse == 7


def test_a_prefix_that_is_being_computed_is_worth_waiting_for() -> None:
    prefix = list(range(100))
    cache = PrefixCache(2, partial=True)
    running = cache.acquire([*prefix, 1], reuse=True)
    assert cache.is_coming([*prefix, 2])
    assert not cache.is_coming([*prefix[:20], 2]), "too little to wait for"
    assert not cache.is_coming([5, 6, 7])
    cache.computed(running.slot, prefix[:80])
    assert not cache.is_coming([*prefix, 2]), "what is still missing is too little to wait for"
    cache.computed(running.slot, [*prefix[80:], 1])
    assert not cache.is_coming([*prefix, 2]), "it is there"
    assert cache.acquire([*prefix, 2], reuse=True).reuse == 100


def test_nobody_waits_for_what_has_ended_or_cannot_be_copied() -> None:
    prefix = list(range(100))
    ended = PrefixCache(2, partial=True)
    ended.release(ended.acquire([*prefix, 1], reuse=True).slot)
    assert not ended.is_coming([*prefix, 2])
    whole_only = PrefixCache(2, partial=False)
    whole_only.acquire([*prefix, 1], reuse=True)
    assert not whole_only.is_coming([*prefix, 2])


def test_a_long_cache_is_not_given_up_for_a_short_prefix() -> None:
    cache = PrefixCache(2, partial=True)
    slot = finish(cache, A)
    assert cache.acquire([*A[:3], 1, 2], reuse=True) == Start(1 - slot, 3, slot)


def test_the_oldest_cache_goes_first() -> None:
    cache = PrefixCache(2, partial=True)
    first, second = finish(cache, A), finish(cache, B)
    assert first != second
    assert cache.evict() == first
    assert cache.acquire([1, 2, 3], reuse=True).slot == first


def test_reuse_can_be_declined() -> None:
    cache = PrefixCache(2, partial=True)
    finish(cache, A)
    assert cache.acquire(A, reuse=False).reuse == 0


def test_a_memory_without_partial_prefixes_continues_whole_sequences_only() -> None:
    cache = PrefixCache(2, partial=False)
    slot = finish(cache, A)
    assert cache.acquire([*A, 1], reuse=True) == Start(slot, len(A), None)
    cache.release(slot)
    assert PrefixCache(2, partial=False).acquire(A, reuse=True).reuse == 0
    other = PrefixCache(2, partial=False)
    finish(other, A)
    assert other.acquire([*A[:10], 1], reuse=True).reuse == 0


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(a: list[int], b: list[int]) -> None:
    length = common_prefix(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]


class CacheMachine(RuleBasedStateMachine):
    """Any order of requests: a slot runs one at a time, and what is reused is what was computed there."""

    running = Bundle("running")

    @initialize(slots=st.integers(1, 4), partial=st.booleans())
    def start(self, slots: int, partial: bool) -> None:
        self.cache = PrefixCache(slots, partial=partial)
        self.held: list[list[int]] = [[] for _ in range(slots)]
        self.busy: set[int] = set()

    @precondition(lambda self: self.cache.has_free_slot())
    @rule(target=running, prompt=st.lists(st.integers(0, 2), min_size=1, max_size=12), reuse=st.booleans())
    def admit(self, prompt: list[int], reuse: bool) -> tuple[int, list[int]]:
        start = self.cache.acquire(prompt, reuse=reuse)
        assert start.slot not in self.busy
        assert start.reuse < len(prompt)
        source = start.slot if start.copy_from is None else start.copy_from
        assert self.held[source][: start.reuse] == prompt[: start.reuse]
        self.held[start.slot] = prompt[: start.reuse]
        self.busy.add(start.slot)
        return start.slot, prompt[start.reuse :]

    @rule(request=consumes(running))
    def compute_and_finish(self, request: tuple[int, list[int]]) -> None:
        slot, rest = request
        self.cache.computed(slot, rest)
        self.held[slot] = self.held[slot] + rest
        self.cache.release(slot)
        self.busy.discard(slot)

    @rule()
    def evict(self) -> None:
        slot = self.cache.evict()
        if slot is not None:
            assert slot not in self.busy
            assert self.held[slot]
            self.cache.forget(slot)
            self.held[slot] = []

    @invariant()
    def free_slots_are_known(self) -> None:
        assert self.cache.has_free_slot() == (len(self.busy) < len(self.held))


TestCacheMachine = CacheMachine.TestCase
