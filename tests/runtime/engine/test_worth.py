"""Whether a draft model's guesses are worth it: a clock of its own, and models that are as right as a case says."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine.step_cost import Mean, StepCost
from runtime.engine.worth import Record, Worth


@dataclass(frozen=True)
class Machine:
    """Seconds that steps take: of the model, over so many tokens, and of its draft model; and what reading takes."""

    fixed: float = 1.0
    per_token: float = 0.05
    draft: float = 0.1
    reading: float = 0.01

    jump: float = 0.0
    """What every second, sixth, tenth … token costs besides: matrices are multiplied in blocks."""

    def step(self, tokens: int) -> float:
        return self.fixed + self.per_token * tokens + self.jump * ((tokens + 2) // 4)


class Played:
    """`streams` that go on until each has `tokens` more, with a draft model that is right at `rate`."""

    def __init__(self, machine: Machine, rate: float, streams: int = 1, prompt: int = 0, seed: int = 1) -> None:
        self._machine = machine
        self._streams = streams
        self._cost = StepCost()
        self._worth = Worth(self._cost)
        self._records = [Record() for _ in range(streams)]
        self._behind = [prompt] * streams
        self._right = random.Random(seed)
        self._rate = rate
        self.depths: list[int] = []

    def seconds(self, tokens: int) -> float:
        """Until all streams have so many more, in times of how long that takes without a draft model."""
        said = [0] * self._streams
        clock = 0.0
        while min(said) < tokens:
            clock += self._step(said)
        return clock / (max(said) * self._machine.step(self._streams))

    def _step(self, said: list[int]) -> float:
        machine, n = self._machine, self._streams
        self._worth.begin(n, n, 16)
        depths = [
            self._worth.depth(record, behind, count, 16)
            for record, behind, count in zip(self._records, self._behind, said, strict=True)
        ]
        clock = self._read(depths)
        for depth in range(max(depths)):
            drafting = sum(one > depth for one in depths)
            clock += machine.draft
            self._worth.note_step(drafting, machine.draft)
        self.depths += depths
        seconds = machine.step(n + sum(depths))
        self._cost.observe(n, sum(depths), seconds)
        cost = self._cost.of_guesses(n, sum(depths))
        for stream, depth in enumerate(depths):
            accepted = next((i for i in range(depth) if self._right.random() >= self._rate), depth)
            if depth:
                self._worth.settle(self._records[stream], depth, accepted, cost)
            else:
                self._worth.pass_over(self._records[stream])
            self._behind[stream] += 0 if depth else 1
            said[stream] += 1 + accepted
        return clock + seconds

    def _read(self, depths: list[int]) -> float:
        clock = 0.0
        for stream, depth in enumerate(depths):
            if depth and self._behind[stream]:
                seconds = self._machine.reading * self._behind[stream]
                self._worth.note_reading(self._behind[stream], seconds)
                self._behind[stream] = 0
                clock += seconds
        return clock


def test_a_good_draft_model_is_made_use_of() -> None:
    """Right four times in five, and a tenth of the size: the formula promises 2.2 times, and some is for learning."""
    assert Played(Machine(), 0.8).seconds(1000) < 1 / 1.9


def test_the_better_it_is_the_further_it_guesses() -> None:
    depths = []
    for rate in (0.5, 0.8, 0.99):
        played = Played(Machine(), rate)
        played.seconds(2000)
        depths.append(sum(played.depths[-200:]))
    assert depths == sorted(depths)
    assert depths[0] < depths[-1]


def test_a_cost_that_is_no_line_is_found_out() -> None:
    """The second token costs as much as the first, the next three nearly nothing: several guesses, and never one."""
    played = Played(Machine(fixed=1.0, per_token=0.1, draft=0.02, jump=1.0), 0.8)
    assert played.seconds(1500) < 1 / 1.25
    assert 1 not in played.depths[-200:]


WRONG = [
    Machine(),
    Machine(draft=0.5),
    Machine(draft=3.0),
    Machine(per_token=1.0),
    Machine(draft=0.02),
    Machine(jump=5.0),
]


@pytest.mark.parametrize("machine", WRONG, ids=str)
@pytest.mark.parametrize("streams", [1, 4, 16])
def test_one_that_is_never_right_costs_next_to_nothing(machine: Machine, streams: int) -> None:
    assert Played(machine, 0.0, streams).seconds(400) < 1.03


@settings(max_examples=25, deadline=None)
@given(
    rate=st.floats(0, 1), draft=st.floats(0.01, 2), per_token=st.floats(0.001, 1), streams=st.sampled_from([1, 2, 8])
)
def test_it_never_costs_more_than_that(rate: float, draft: float, per_token: float, streams: int) -> None:
    assert Played(Machine(per_token=per_token, draft=draft), rate, streams).seconds(400) < 1.03


def test_a_first_prompt_is_read_and_no_more_of_them_for_nothing() -> None:
    """Who is never right reads one prompt; the second one is not worth it any more."""
    machine = Machine()
    played = Played(machine, 0.0, prompt=500)
    first = played.seconds(300)
    assert first > 1.01, "it was read"
    played._records, played._behind = [Record()], [500]
    assert played.seconds(300) < 1.03


def test_nothing_is_guessed_before_a_step_has_been_seen() -> None:
    worth = Worth(StepCost())
    worth.begin(1, 1, 16)
    assert worth.depth(Record(), 0, 0, 16) == 0


def test_it_stops_where_many_streams_make_tokens_cheap_and_guesses_dear() -> None:
    """Each token more takes as long as a step over one: what is guessed wrong would have been another's token."""
    played = Played(Machine(fixed=0.01, per_token=1.0), 0.8, streams=8)
    played.seconds(300)
    assert sum(played.depths[-400:]) < 40


def test_a_step_that_waited_for_another_process_is_no_measure() -> None:
    mean = Mean(0.97)
    for value in (1.0, 1.0, 100.0, 1.0):
        mean.add(value)
    assert mean.value < 2
