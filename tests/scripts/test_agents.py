"""What `scripts/agents` does around the agents, which are none here: whom it ends, and what it says of requests."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from support.places import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "agent_runs"))

import trial
from agents import Agent
from belonging import resident_bytes
from exchanges import Exchange
from trial import Ended, Session, refusals

sys.path.pop(0)  # the benchmarks have modules of the same names


def ask(folder: Path, script: str, patience: int) -> Ended:
    """Ask a program of this `script` anything, with `folder` for its home."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    agent = Agent("P", "p", ("program",), ("program",), lambda _home, _url: {})
    return asyncio.run(Session(agent, folder, folder, "", patience).ask("Hello?", is_first=True))


def test_an_agent_is_not_waited_for_once_it_has_ended_and_nothing_of_it_stays(tmp_path: Path) -> None:
    """Even where what it started holds its output, in a session of its own."""
    ended = ask(tmp_path, 'setsid sleep 1000 & echo "$1"; exit 3', 600)
    assert ended == Ended(3, "Hello?\n", "")
    assert resident_bytes(tmp_path / "home") == 0


@pytest.mark.parametrize(("patience", "memory", "says"), [(1, 10**12, "more than 1 seconds"), (600, 1, "GB of memory")])
def test_one_that_takes_too_much_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int, memory: int, says: str
) -> None:
    monkeypatch.setattr(trial, "_MOST_MEMORY", memory)
    ended = ask(tmp_path, "echo begun; sleep 1000", patience)
    assert ended.said == "begun\n"
    assert says in ended.ended_by
    assert resident_bytes(tmp_path / "home") == 0


@pytest.mark.parametrize(
    ("status", "said", "was_left", "were_ended", "says"),
    [
        (200, "data: {}", False, False, None),
        (200, "data: {}", True, True, None),
        (400, "no", False, False, "answered 400: no"),
        (200, 'data: {"error": {}}', False, False, "ended with an error"),
        (200, "event: error\n", True, True, "ended with an error"),
        (0, "", False, False, "nothing came"),
        (0, "", False, True, "nothing came"),
        (0, "", True, False, "gave up"),
        (0, "", True, True, None),
    ],
)
def test_what_is_a_refusal(status: int, said: str, was_left: bool, were_ended: bool, says: str | None) -> None:
    exchange = Exchange("POST", "/v1/messages", {}, b"", status, bytearray(said.encode()), True, was_left)
    problems = refusals([exchange], were_ended=were_ended)
    assert [says in problem for problem in problems if says is not None] == ([] if says is None else [True])
    assert bool(problems) is (says is not None)
