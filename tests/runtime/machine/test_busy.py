"""What others keep busy of the processors that this process may use, as /proc/stat says it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from runtime.machine.busy import OthersWork

TICKS = os.sysconf("SC_CLK_TCK")


def write(path: Path, worked: float, *, stolen: float = 0.0) -> None:
    """One processor of ours has `worked` so many seconds; another, on which we may not run, a thousand times that."""
    mine = min(os.sched_getaffinity(0))
    columns = (worked * TICKS, 0, 0, 5, 5, 0, 0, stolen * TICKS)
    theirs = (worked * TICKS * 1000, 0, 0, 5, 5, 0, 0, 0)
    rows = ((f"cpu{mine}", columns), ("cpu4095", theirs))
    path.write_text("".join(f"{name} {' '.join(str(int(value)) for value in row)}\n" for name, row in rows))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    now = {"monotonic": 100.0, "process_time": 5.0}
    for name in now:
        monkeypatch.setattr(time, name, lambda name=name: now[name])
    return now


def test_what_is_ours_is_not_theirs(tmp_path: Path, clock: dict[str, float]) -> None:
    write(tmp_path / "stat", 50)
    others = OthersWork(tmp_path / "stat")
    write(tmp_path / "stat", 53, stolen=7)
    clock["monotonic"] += 2
    clock["process_time"] += 1
    assert others.measure() == pytest.approx(1.0)
    clock["monotonic"] += 2
    clock["process_time"] += 1
    assert others.measure() == 0, "clocks differ a little: less than nothing is nothing"
    assert others.measure() is None, "no time has passed"


@pytest.mark.parametrize("text", [None, "", "cpu 1 2 3\n", "cpu0\n", "nothing\n\n"])
def test_a_system_that_does_not_say(tmp_path: Path, text: str | None, clock: dict[str, float]) -> None:
    if text is not None:
        (tmp_path / "stat").write_text(text)
    others = OthersWork(tmp_path / "stat")
    clock["monotonic"] += 1
    assert others.measure() is None


def test_this_machine() -> None:
    others = OthersWork()
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        pass
    assert 0 <= (others.measure() or 0) <= (os.cpu_count() or 1) * 1.5
