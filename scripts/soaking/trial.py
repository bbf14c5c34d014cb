"""One soak from beginning to end: what is sure, warm up, load, rest, compare."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from crowd import crowd_of
from draw import Mix
from load import Asked, Load, Results
from subject import Subject
from sure import Sure, sure_texts

_REPEATED_EVERY = 20
"""So many questions apart, one is asked of which the answer is known."""

_WARM_UP = 1_000_000
"""The number of the warm-up's first question, far from those that count."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`requests` in all, or as many as `seconds` allow, beside a `crowd` of so many connections that ask nothing.

    `growth` in bytes, `patience` in seconds, `n_ctx` in tokens.
    """

    requests: int
    seconds: int | None
    at_once: int
    seed: int
    warm_up: int
    growth: int
    patience: int
    n_ctx: int
    crowd: int


@dataclass(slots=True)
class Report:
    """What came of it. `memory` in bytes, after the warm-up and in the end; empty where it is not to be seen.

    Nothing is wrong when there are no `problems`, which are told for people.
    """

    results: Results = field(default_factory=Results)
    sure: int = 0
    memory: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def try_out(subject: Subject, plan: Plan, report: Report) -> None:
    """Fill in `report`. Raises `SubjectFailed` when the server ends or does not come to rest."""
    async with crowd_of(plan.crowd, subject.address):
        await _put_under_load(subject, plan, report)
    await subject.empty_pool(plan.n_ctx, plan.patience)


async def _put_under_load(subject: Subject, plan: Plan, report: Report) -> None:
    sure = await sure_texts(subject.address, plan.patience)
    report.sure = len(sure)
    mix = Mix(plan.seed, plan.n_ctx)
    warm_up = Load(
        subject, _questions(mix, sure, range(_WARM_UP, _WARM_UP + plan.warm_up)), plan.at_once, plan.patience
    )
    await warm_up.run()
    report.problems += warm_up.results.problems
    await subject.rest(plan.patience)
    _look_at_memory(subject, report)
    numbers = range(plan.requests) if plan.seconds is None else _numbers_for(plan.seconds)
    load = Load(subject, _questions(mix, sure, numbers), plan.at_once, plan.patience)
    report.results = load.results
    try:
        await load.run()
    finally:
        report.problems += load.results.problems
    await subject.rest(plan.patience)
    _look_at_memory(subject, report)
    if report.memory and report.memory[-1] - report.memory[0] > plan.growth:
        report.problems.append(f"memory grew from {report.memory[0]:,} to {report.memory[-1]:,} bytes")


def _questions(mix: Mix, sure: Sequence[Sure], numbers: Iterable[int]) -> Iterator[Asked]:
    """Those of `mix`, and among them those of which the answer is known."""
    repeated = itertools.cycle(sure)
    for number in numbers:
        if sure and number % _REPEATED_EVERY == 0:
            known = next(repeated)
            yield Asked(known.question(number), known)
        else:
            yield Asked(mix.question(number))


def _numbers_for(seconds: int) -> Iterator[int]:
    end = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > end:
            return
        yield number


def _look_at_memory(subject: Subject, report: Report) -> None:
    memory = subject.memory()
    if memory is not None:
        report.memory.append(memory)
