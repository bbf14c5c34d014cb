"""Who holds up the others sits out: seconds in, who may go on out."""

from __future__ import annotations

import threading
from collections.abc import Sequence as Items
from dataclasses import dataclass

import pytest

from runtime.engine import generating
from runtime.engine.backend import BatchItem, Sampled
from runtime.engine.debts import SLIGHT, Debts
from runtime.engine.engine import Engine
from runtime.engine.sequence import Sequence
from runtime.engine.types import GenerationRequest, Sampling
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext, FakeSampler


def some(count: int) -> list[Sequence]:
    return [Sequence(GenerationRequest((1,)), number=number) for number in range(count)]


def test_who_took_long_sits_out_for_twice_as_long() -> None:
    debts, running = Debts(), some(3)
    debts.took(running[1], 0.03)
    assert debts.free(running) == [running[0], running[2]]
    debts.paid(0.05)
    assert debts.free(running) == [running[0], running[2]]
    debts.paid(0.01)
    assert debts.free(running) == running


def test_what_is_slight_is_nobody_s_business() -> None:
    debts, running = Debts(), some(2)
    debts.took(running[0], SLIGHT)
    assert debts.free(running) == running


def test_where_all_owe_all_go_on_and_begin_anew() -> None:
    debts, running = Debts(), some(2)
    for sequence in running:
        debts.took(sequence, 1.0)
    assert debts.free(running) == running
    others = [*running, *some(1)]
    assert debts.free(others) == others, "nothing is kept of that"


def test_who_has_ended_is_forgotten() -> None:
    debts, (ended, goes_on, comes) = Debts(), some(3)
    debts.took(ended, 1.0)
    assert debts.free([goes_on, comes]) == [goes_on, comes]
    assert debts.free([ended, goes_on]) == [ended, goes_on]


def test_what_is_owed_adds_up() -> None:
    debts, running = Debts(), some(2)
    for _ in range(2):
        debts.took(running[0], 0.01)
    debts.paid(0.03)
    assert debts.free(running) == running[1:]
    debts.paid(0.02)
    assert debts.free(running) == running


@dataclass
class Clock:
    """Seconds that pass only where a test lets them."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


class Costly(FakeContext):
    """A batch takes a millisecond, and a token under a grammar thirty."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(n_ctx=1000, gate=threading.Semaphore(0))
        self._clock = clock
        self.times: list[float] = []

    def decode(self, items: Items[BatchItem], scales: tuple[float, ...]) -> dict[int, int]:
        self._clock.now += 0.001
        self.times.append(self._clock.now)
        return super().decode(items, scales)

    def new_sampler(self, sampling: Sampling, prompt: Items[int]) -> FakeSampler:
        return Long(self, self._clock) if sampling.grammar else super().new_sampler(sampling, prompt)


class Long(FakeSampler):
    def __init__(self, context: FakeContext, clock: Clock) -> None:
        super().__init__(context)
        self._clock = clock

    def sample(self, output: int) -> Sampled:
        self._clock.now += 0.030
        return super().sample(output)


def test_nobody_waits_half_as_long_again_for_a_costly_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(generating, "time", clock)

    context = Costly(clock)

    async def body(engine: Engine) -> None:
        slow = engine.submit(GenerationRequest((1,), 500, (), Sampling(grammar="root")))
        plain = engine.submit(request(2, max_tokens=300))
        assert context.gate is not None
        context.gate.release(2000)
        _, ended = await collect(plain)
        slow.abort()
        assert any(len(batch) == 2 for batch in context.batches)
        of_plain = [
            at
            for at, batch in zip(context.times, context.batches, strict=False)
            if ended.slot in {i.slot for i in batch}
        ]
        waited = of_plain[-1] - of_plain[0]
        assert ended.usage.generated_tokens == 300
        assert waited < 1.5 * 0.300 + 2 * 0.031

    with_engine(context, body)
