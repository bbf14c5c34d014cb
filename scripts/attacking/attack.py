"""What an attack is, and what becomes of one: its answer, others' waiting, memory.

Knows figures. Refuses to know what is sent.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from target import Target

QUIET_REQUESTS = 15
TIDY_SECONDS = 2.5
"""After which memory must be back: the server gives it back a second after the last large answer."""

_OTHERS_PAUSE = 0.05


@dataclass(frozen=True)
class Attack:
    """`run` returns what is wrong, "" where the attack was held off. `is_load`: it is to make others wait."""

    name: str
    run: Callable[[Target], str]
    is_load: bool = False


@dataclass(frozen=True)
class Result:
    """Times in seconds, of others' requests: alone, and during the attack, where that was measured. Memory in bytes."""

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
        return Result(attack, _problem(attack, target), time.monotonic() - began)
    quiet = [other(target) for _ in range(QUIET_REQUESTS)]
    before = target.memory()
    target.begin_peak()
    resident = target.peak()
    others = _Others(target)
    began = time.monotonic()
    problem = _problem(attack, target)
    seconds = time.monotonic() - began
    times = others.end()
    peak = target.peak() - resident
    time.sleep(TIDY_SECONDS)
    return Result(
        attack,
        problem or others.problem,
        seconds,
        statistics.median(quiet),
        statistics.median(times) if times else 0.0,
        max(times, default=0.0),
        max(peak, 0),
        max(target.memory() - before, 0),
    )


def _problem(attack: Attack, target: Target) -> str:
    try:
        return attack.run(target)
    except Exception as error:  # whatever it is, it is no answer
        return repr(error)


def other(target: Target) -> float:
    """Seconds that somebody waits who asks for a short answer."""
    began = time.monotonic()
    status, text = target.ask("/completion", {"prompt": "Once upon", "n_predict": 8, "temperature": 0})
    if status != 200:
        raise OSError(f"somebody else is told {status}: {text[:200]}")
    return time.monotonic() - began


class _Others:
    """Somebody who asks again and again, in a thread."""

    def __init__(self, target: Target) -> None:
        self.problem = ""
        self._target = target
        self._times: list[float] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> list[float]:
        self._ends.set()
        self._thread.join()
        return self._times

    def _ask(self) -> None:
        while not self._times or not self._ends.wait(_OTHERS_PAUSE):
            try:
                self._times.append(other(self._target))
            except OSError as error:
                self.problem = str(error)
                return
