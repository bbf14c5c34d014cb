"""How many threads compute, as a table and against a model of a machine that others use, too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.team import WINDOW, Team

# threads there are, those that computed, processors they got, processors others had, threads from then on
DECISIONS = [
    ("alone", 2, 2, 1.97, 0.03, 2),
    ("beside one", 2, 2, 1.28, 0.72, 1),
    ("beside four", 2, 2, 0.66, 1.34, 1),
    ("one beside one", 2, 1, 1.0, 1.0, 1),
    ("one beside four", 2, 1, 0.41, 1.59, 1),
    ("alone again", 2, 1, 1.0, 0.02, 2),
    ("beside somebody who takes little", 2, 2, 1.8, 0.15, 2),
    ("one beside somebody who takes little", 2, 1, 1.0, 0.2, 2),
    ("waiting for the disk", 2, 2, 0.3, 0.0, 2),
    ("held back by a quota", 4, 4, 1.5, 0.1, 4),
    ("sixteen beside four", 16, 16, 14.0, 2.0, 14),
    ("fourteen beside four", 16, 14, 13.0, 3.0, 13),
    ("twelve beside four", 16, 12, 12.0, 4.0, 12),
    ("twelve beside two", 16, 12, 12.0, 2.0, 14),
    ("beside more than there are processors", 16, 16, 0.1, 40.0, 1),
    ("nobody knows", 2, 2, 0.5, None, 2),
]


@pytest.mark.parametrize(("most", "size", "got", "others", "then"), [row[1:] for row in DECISIONS])
def test_decisions(most: int, size: int, got: float, others: float | None, then: int) -> None:
    team = Team(most, lambda: others)
    team.size = size
    team.note(WINDOW, got * WINDOW)
    assert team.size == then


def test_a_step_alone_decides_nothing_unless_it_is_long() -> None:
    team = Team(2, lambda: 1.0)
    team.note(WINDOW * 0.9, 0.0)
    assert team.size == 2
    team.note(WINDOW * 0.2, 0.0)
    assert team.size == 1


def test_a_team_that_is_fixed_stays() -> None:
    team = Team(4, None)
    team.note(10.0, 0.0)
    assert team.size == 4


@given(most=st.integers(2, 64), hogs=st.integers(0, 64))
def test_it_settles_on_what_others_leave_and_comes_back(most: int, hogs: int) -> None:
    """On a machine that divides its processors evenly among all that want one."""
    load = hogs
    team = Team(most, lambda: load * share())

    def share() -> float:
        return min(1.0, most / (team.size + load))

    def settle() -> list[int]:
        sizes = []
        for _ in range(40):
            team.note(WINDOW, team.size * share() * WINDOW)
            sizes.append(team.size)
        return sizes

    sizes = settle()
    assert sizes[-10:] == [sizes[-1]] * 10, "it does not go back and forth"
    assert max(1, min(most - hogs, most // 2)) <= sizes[-1] <= most
    if hogs < most:
        assert sizes[-1] * (1 - share()) <= 1, "none of its threads waits for long"
    load = 0
    assert settle()[0] == most
