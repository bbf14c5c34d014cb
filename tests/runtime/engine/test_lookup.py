"""Guessing from what was said before: what is guessed, what it may cost, and when it stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.guessing import Guessing
from runtime.engine.lookup import ALLOWANCE, Lookup
from runtime.engine.pieces import piece_tokens
from runtime.engine.sequence import Sequence
from runtime.engine.step_cost import StepCost
from runtime.engine.types import GenerationRequest

CHEAP = 0.1

PROPOSALS: list[tuple[str, list[int], int, tuple[int, ...]]] = [
    ("nothing said yet", [], 8, ()),
    ("too little to know by", [1, 2], 8, ()),
    ("nothing repeats", [1, 2, 3, 4, 5], 8, ()),
    ("what followed last time, round and round", [1, 2, 3, 4, 5, 1, 2, 3], 8, (4, 5, 1, 2, 3, 4, 5, 1)),
    ("no more than asked for", [1, 2, 3, 4, 5, 1, 2, 3], 2, (4, 5)),
    ("none wanted", [1, 2, 3, 4, 5, 1, 2, 3], 0, ()),
    ("what followed the last time, not the first", [1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3], 1, (5,)),
    ("two tokens alike are not enough", [1, 2, 3, 4, 9, 2, 3], 8, ()),
]


@pytest.mark.parametrize(("said", "n", "guess"), [row[1:] for row in PROPOSALS], ids=[row[0] for row in PROPOSALS])
def test_proposals(said: list[int], n: int, guess: tuple[int, ...]) -> None:
    assert Lookup(said).propose(n, CHEAP) == guess


def test_what_is_said_meanwhile_is_known_too() -> None:
    said = [1, 2, 3]
    lookup = Lookup(said)
    assert lookup.propose(8, CHEAP) == ()
    said += [4, 1, 2, 3]
    assert lookup.propose(1, CHEAP) == (4,)


def test_right_guesses_grow() -> None:
    lookup = Lookup([1] * 100)
    lengths = []
    for _ in range(6):
        guess = lookup.propose(16, 0.5)
        lengths.append(len(guess))
        lookup.settle(len(guess), len(guess), 0.5)
    assert lengths[0] == 2
    assert lengths == sorted(lengths)
    assert lengths[-1] == 16


@given(cost=st.floats(0.02, 1.0), tokens=st.integers(1, 2000), at_most=st.integers(1, 64))
def test_wrong_guesses_never_cost_more_than_the_allowance(cost: float, tokens: int, at_most: int) -> None:
    """One that is always wrong pays for its guesses: one token's time at first, and its allowance for each token."""
    lookup = Lookup([1] * 100)
    paid = 0.0
    for _ in range(tokens):
        guess = lookup.propose(at_most, cost)
        paid += len(guess) * cost
        if guess:
            lookup.settle(len(guess), 0, cost)
    assert paid <= 1 + ALLOWANCE * tokens + 1e-6


def test_the_cost_of_a_guess_before_anything_was_measured() -> None:
    assert 0.02 <= StepCost().of_guess(1) <= 1


@pytest.mark.parametrize(
    ("fixed", "per_token", "streams", "expected"),
    [
        (9.0, 1.0, 1, 0.1),
        (0.0, 1.0, 1, 1.0),
        (0.0, 1.0, 8, 1.0),
        (8.0, 1.0, 8, 0.5),
        (100.0, 0.1, 1, 0.02),
    ],
)
def test_the_cost_follows_from_how_long_steps_take(
    fixed: float, per_token: float, streams: int, expected: float
) -> None:
    """As a share of a token's time: nothing where batches cost what one token costs, all of it where each costs."""
    cost = StepCost()
    for tokens in (1, 3, 9, 2, 17, 5, 8):
        cost.observe(tokens, 0, fixed + per_token * tokens)
    assert cost.of_guess(streams) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("streams", "guesses", "seconds", "expected"),
    [(1, 1, 8.0, 0.6), (1, 3, 8.0, 0.2), (1, 1, 20.0, 1.0), (1, 1, 4.0, 0.0), (4, 2, 11.0, 0.2), (2, 1, 9.0, 1.0)],
)
def test_what_a_guess_has_cost_is_what_its_step_took_longer(
    streams: int, guesses: int, seconds: float, expected: float
) -> None:
    """All streams are held up by it. One that took longer than a token of its own was held up by something else."""
    cost = StepCost()
    for number, plain in ((1, 5.0), (2, 6.0), (4, 10.0)):
        for _ in range(3):
            assert cost.observe(number, 0, plain) == 0
    assert cost.observe(streams, guesses, seconds) == pytest.approx(expected)


STEPS = st.tuples(st.integers(1, 256), st.integers(0, 64), st.floats(0, 10))


@given(st.lists(STEPS, max_size=40), st.integers(1, 256))
def test_the_cost_is_a_share_whatever_was_measured(steps: list[tuple[int, int, float]], streams: int) -> None:
    cost = StepCost()
    for tokens, guesses, seconds in steps:
        assert 0 <= cost.observe(tokens, guesses, seconds) <= 1
    assert 0.02 <= cost.of_guess(streams) <= 1


def test_a_picture_is_never_guessed() -> None:
    """It stands among the tokens as numbers, and what comes before it may be said again."""
    said = [*range(10, 20), *piece_tokens(b"a picture", 4, 4), 20, *range(10, 20)]
    sequence = Sequence(GenerationRequest(prompt=tuple(said), max_tokens=50))
    guessing = Guessing(8, StepCost(), looks_up=True)
    guessing.propose([sequence], 8, 1000)
    assert sequence.draft == ()
    sequence.tokens += said[:5]
    guessing.forget(sequence)
    guessing.propose([sequence], 8, 1000)
    assert sequence.draft
    assert min(sequence.draft) > 0
