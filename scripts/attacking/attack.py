"""What an attack is, and what becomes of one: its answer, others' waiting, memory.

Knows figures. Refuses to know what is sent.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from target import Target

QUIET_REQUESTS = 30
WATCHED_SECONDS = 3.0
"""For which an attack goes on, again and again: the median of a handful of short answers says little."""

TIDY_SECONDS = 2.5
"""After which memory must be back: the server gives it back a second after the last large answer."""

_OTHERS = Path(__file__).parent / "others.py"


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Attack:
    """`run` returns what is wrong, "" where the attack was held off. `is_load`: it is to make others wait.

    What takes the attacker long is done in `prepare`, before anybody is watched, and given up in `tidy`. How long
    others wait is compared with when nobody else asks, or with when somebody does `honestly` what is attacked with.
    """

    name: str
    run: Callable[[Target], str]
    is_load: bool = False
    prepare: Callable[[], object] = _nothing
    tidy: Callable[[], object] = _nothing
    honestly: Callable[[Target], str] | None = None


@dataclass(frozen=True)
class Result:
    """`seconds`: of one attack. Times in seconds, of others' requests: alone, and during the attack, where that was
    measured. Memory in bytes."""

    attack: Attack
    problem: str
    seconds: float
    quiet: float = 0.0
    during: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    left: int = 0

    @property
    def slower(self) -> float:
        return self.during / self.quiet if self.quiet else 0.0


def carry_out(attack: Attack, target: Target) -> Result:
    """Do it, and look at what it does to others where it is meant to do something."""
    if not attack.is_load:
        began = time.monotonic()
        return Result(attack, _problem(attack.run, target), time.monotonic() - began)
    attack.prepare()
    with _somebody_else(target) as others:
        quiet = others.ask(QUIET_REQUESTS)
        if attack.honestly is not None:
            others.begin()
            _again_and_again(attack.honestly, target)
            quiet = others.end()
        before = target.memory()
        target.begin_peak()
        resident = target.peak()
        others.begin()
        began = time.monotonic()
        problem, count = _again_and_again(attack.run, target)
        seconds = (time.monotonic() - began) / count
        times = others.end()
    peak = target.peak() - resident
    attack.tidy()
    time.sleep(TIDY_SECONDS)
    return Result(
        attack,
        problem or others.problem,
        seconds,
        statistics.median(quiet),
        statistics.median(times),
        max(times),
        max(peak, 0),
        max(target.memory() - before, 0),
    )


def _again_and_again(run: Callable[[Target], str], target: Target) -> tuple[str, int]:
    """What is wrong, and how often it was done."""
    began, count, problem = time.monotonic(), 0, ""
    while not problem and (not count or time.monotonic() - began < WATCHED_SECONDS):
        problem, count = _problem(run, target), count + 1
    return problem, count


def _problem(run: Callable[[Target], str], target: Target) -> str:
    try:
        return run(target)
    except Exception as error:  # whatever it is, it is no answer
        return repr(error)


class _Others:
    """Somebody who asks for short answers (`others.py`). `problem`: why there was none."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.problem = ""
        self._process = process

    def ask(self, count: int) -> list[float]:
        """Seconds that each of so many took."""
        self._tell(count)
        return self._told()

    def begin(self) -> None:
        """Ask again and again, until `end`."""
        self._tell(0)

    def end(self) -> list[float]:
        """Seconds that each took."""
        self._tell(0)
        return self._told()

    def _tell(self, count: int) -> None:
        assert self._process.stdin is not None
        print(count, file=self._process.stdin, flush=True)

    def _told(self) -> list[float]:
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        if isinstance(told, dict):
            self.problem = told["problem"]
            return [0.0]
        times: list[float] = told
        return times


@contextmanager
def _somebody_else(target: Target) -> Iterator[_Others]:
    command = [sys.executable, str(_OTHERS), str(target.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Others(process)
        finally:
            process.kill()
