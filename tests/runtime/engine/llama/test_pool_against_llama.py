"""The bookkeeping of the pool against the library: in any order of requests, each sequence holds its own tokens.

What is asked of llama.cpp: which positions a sequence has, whether a batch of exactly the cells that should be free
fits and one more does not, and whether what comes next is what comes next when the same tokens are computed alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from runtime.engine.backend import BatchItem, PoolFull
from runtime.engine.cache import PrefixCache
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.shelf import Shelf
from runtime.engine.storage import Storage
from runtime.engine.types import Probabilities, Sampling
from runtime.engine.weights import Weights
from support.bundles import DEMO_GGUF

SLOTS = 4
SPARE = SLOTS
"""A sequence beside those of the cache, to try with."""

CELLS = 256
TOKENS = st.lists(st.sampled_from([40, 41, 42]), min_size=1, max_size=40)
LIKELIEST = Sampling(temperature=0.0, n_probs=1)


class Library:
    """One model, one pool for the bookkeeping and one to compute sequences alone in. Made once."""

    def __init__(self, gguf: Path) -> None:
        model = load_model(Weights(gguf), LoadSettings(), threading.Event())
        self.facts = model.facts
        wanted = ContextSettings(CELLS, SLOTS + 1, CELLS, CELLS, 1, max_draft=5)
        self.pool, self.alone = (LlamaBackend(model, wanted).generator for _ in range(2))
        self._known: dict[tuple[int, ...], Any] = {}

    def likeliest(self, tokens: list[int]) -> Probabilities:
        """What comes after `tokens`, computed from nothing."""
        key = tuple(tokens)
        if key not in self._known:
            assert isinstance(self.alone, Context)
            self.alone.keep_prefix(0, 0)
            self._known[key] = compute(self.alone, 0, 0, key)
        return self._known[key]


def compute(context: Context, slot: int, held: int, tokens: tuple[int, ...]) -> Probabilities:
    outputs = context.decode([BatchItem(slot, held, tokens, 1)], ())
    sampler = context.new_sampler(LIKELIEST, ())
    probabilities = sampler.sample(outputs[slot]).probabilities
    sampler.close()
    assert probabilities is not None
    return probabilities


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(DEMO_GGUF)


class PoolMachine(RuleBasedStateMachine):
    """As the engine does it: admit, compute in chunks, drop what was guessed wrong, finish, put away."""

    library: Library
    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        pool = self.library.pool
        assert isinstance(pool, Context)
        self.context = pool
        for slot in range(SLOTS + 1):
            self.context.keep_prefix(slot, 0)
        self.cache = PrefixCache(SLOTS, self.context.holds)
        self.storage = Storage(self.context, self.library.facts, self.cache, Shelf(64 * 2**20))
        self.held: list[list[int]] = [[] for _ in range(SLOTS)]

    @precondition(lambda self: self.cache.has_free_slot())
    @rule(target=running, prompt=TOKENS)
    def admit(self, prompt: list[int]) -> tuple[int, list[int]]:
        return self._admit(prompt)

    @precondition(lambda self: self.cache.has_free_slot())
    @rule(prompt=TOKENS)
    def run_and_put_away(self, prompt: list[int]) -> None:
        slot, rest = self._admit(prompt)
        if self.cache.cells + len(rest) <= CELLS:
            self.context.decode([BatchItem(slot, len(self.held[slot]), tuple(rest), 0)], ())
            self.cache.computed(slot, rest)
        self.cache.release(slot)
        self.put_away(Storage.evict)

    def _admit(self, prompt: list[int]) -> tuple[int, list[int]]:
        self.storage.fetch(prompt, ())
        self._look_again()
        start = self.cache.acquire(prompt)
        if start.copy_from is not None:
            assert self.context.keep_prefix(start.slot, 0)
            self.context.copy_prefix(start.copy_from, start.slot, start.reuse)
        else:
            assert self.context.keep_prefix(start.slot, start.reuse)
        self.held[start.slot] = prompt[: start.reuse]
        return start.slot, prompt[start.reuse :]

    @rule(target=running, request=consumes(running), count=st.integers(1, 30), wrong=st.integers(0, 5))
    def compute(self, request: tuple[int, list[int]], count: int, wrong: int) -> tuple[int, list[int]]:
        """The next tokens of a prompt, and after the last some guesses that turn out wrong."""
        slot, rest = request
        chunk = rest[:count]
        if not chunk or self.cache.cells + len(chunk) + wrong > CELLS:
            return request
        held = self.held[slot]
        whole = chunk == rest
        guesses = (43,) * wrong if whole else ()
        outputs = self.context.decode([BatchItem(slot, len(held), (*chunk, *guesses), 1 + len(guesses))], ())
        self.held[slot] = [*held, *chunk]
        self.cache.computed(slot, chunk)
        if guesses:
            assert self.context.keep_prefix(slot, len(self.held[slot]))
        sampler = self.context.new_sampler(LIKELIEST, ())
        got = sampler.sample(outputs[slot]).probabilities
        sampler.close()
        assert got is not None
        expected = self.library.likeliest(self.held[slot])
        assert got.sampled.probability == pytest.approx(expected.sampled.probability, abs=0.03)
        return slot, rest[count:]

    @rule(request=consumes(running))
    def finish(self, request: tuple[int, list[int]]) -> None:
        self.cache.release(request[0])

    @rule(what=st.sampled_from([Storage.evict, Storage.tidy, Storage.make_way]))
    def put_away(self, what: Callable[[Storage], object]) -> None:
        what(self.storage)
        self._look_again()

    def _look_again(self) -> None:
        """What does not run may have been moved, whole."""
        for slot in range(SLOTS):
            if not self.cache.is_running(slot):
                self.held[slot] = list(self.cache.tokens(slot))

    @rule()
    def the_free_cells_are_free_and_no_more(self) -> None:
        free = CELLS - self.cache.cells
        with pytest.raises(PoolFull):
            self.context.decode([BatchItem(SPARE, 0, (40,) * min(free + 1, CELLS), 0)], ()) if free < CELLS else _full()
        self.context.keep_prefix(SPARE, 0)
        if free:
            self.context.decode([BatchItem(SPARE, 0, (40,) * free, 0)], ())
        self.context.keep_prefix(SPARE, 0)

    @invariant()
    def the_library_has_the_positions_of_each_sequence(self) -> None:
        for slot, held in enumerate(self.held):
            assert list(self.cache.tokens(slot)) == held
            assert self.context.holds(slot, len(held)) == bool(held)
            assert not self.context.holds(slot, len(held) + 1)


def _full() -> None:
    """More than all cells are no batch at all."""
    raise PoolFull


def test_any_order_of_requests(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.engine.storage.WORTH_WAITING", 1)  # so that much is fetched
    PoolMachine.library = library
    case = PoolMachine.TestCase()
    case.settings = settings(
        max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    case.runTest()
