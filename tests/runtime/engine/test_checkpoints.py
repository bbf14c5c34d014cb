"""Which states of texts are taken, kept and used: pure policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.beginnings import common_prefix
from runtime.engine.checkpoints import Checkpoint, CheckpointLimits, Checkpoints, longest

TEXT = tuple(range(1000, 41_000))
NONE = CheckpointLimits(count=0)
NO_MEMORY = CheckpointLimits(size=0)
DEFAULT = CheckpointLimits()


def checkpoint(tokens: tuple[int, ...], length: int, size: int = 10, scales: tuple[float, ...] = ()) -> Checkpoint:
    return Checkpoint(tokens, length, scales, memoryview(bytes(size)))


def kept(checkpoints: Checkpoints, tokens: tuple[int, ...] = TEXT, scales: tuple[float, ...] = ()) -> list[int]:
    return [one.length for one in checkpoints.before(tokens, scales)][::-1]


@pytest.mark.parametrize(
    ("limits", "n_prompt", "turns", "stops"),
    [
        pytest.param(DEFAULT, 2000, (), (1484, 1996), id="a micro-batch before the end, and shortly before it"),
        pytest.param(DEFAULT, 2000, (1900,), (1484, 1900, 1996), id="before the last turn"),
        pytest.param(DEFAULT, 2000, (1996, 1996), (1484, 1996), id="once, where both are the same"),
        pytest.param(DEFAULT, 300, (), (296,), id="a prompt of one micro-batch"),
        pytest.param(DEFAULT, 30, (10,), (), id="what is computed in no time"),
        pytest.param(DEFAULT, 300, (-5, 0, 300, 10**9), (296,), id="turns that are none"),
        pytest.param(NONE, 2000, (1900,), (), id="none are wanted"),
        pytest.param(NO_MEMORY, 2000, (1900,), (), id="there is no memory for any"),
    ],
)
def test_where_a_prompt_stops(limits: CheckpointLimits, n_prompt: int, turns: tuple[int, ...], stops: object) -> None:
    assert Checkpoints(limits, 512).stops(n_prompt, turns) == stops


def test_one_is_taken_where_it_is_wanted_or_the_last_is_far_behind() -> None:
    checkpoints = Checkpoints(CheckpointLimits(min_step=1000), 512)
    assert not checkpoints.is_due(TEXT, (), 900, is_stop=False)
    assert checkpoints.is_due(TEXT, (), 900, is_stop=True)
    assert checkpoints.put(checkpoint(TEXT, 900))
    assert not checkpoints.is_due(TEXT, (), 900, is_stop=True), "it is there"
    assert not checkpoints.is_due(TEXT, (), 1899, is_stop=False)
    assert checkpoints.is_due(TEXT, (), 1900, is_stop=False)
    assert checkpoints.is_due(TEXT, (0.5,), 900, is_stop=True), "with other adapters it is another"


def test_texts_that_begin_alike_share_them() -> None:
    checkpoints = Checkpoints(DEFAULT, 512)
    checkpoints.put(checkpoint(TEXT[:500], 300))
    other = (*TEXT[:400], 1, 2, 3)
    assert kept(checkpoints, other) == [300]
    assert kept(checkpoints, other[:300]) == [], "one token is left to compute"
    assert kept(checkpoints, (*TEXT[:299], 1, 2)) == []
    assert kept(checkpoints, other, (1.0,)) == []
    assert longest(checkpoints.before(other, ()), 299) is None


def test_a_text_has_no_more_than_are_wanted() -> None:
    """Those that follow another closely go first, but for those of the same prompt; then the shortest."""
    checkpoints = Checkpoints(CheckpointLimits(count=4, min_step=100), 512)
    for length in (100, 150, 300, 500):
        checkpoints.put(checkpoint(TEXT[: length + 1], length))
    checkpoints.put(checkpoint(TEXT, 700))
    assert kept(checkpoints) == [100, 300, 500, 700]
    checkpoints.put(checkpoint(TEXT, 710))
    assert kept(checkpoints) == [300, 500, 700, 710]
    checkpoints.put(checkpoint(TEXT, 720))
    assert kept(checkpoints) == [500, 700, 710, 720]


def test_the_last_of_each_text_is_the_last_to_go() -> None:
    checkpoints = Checkpoints(CheckpointLimits(size=40), 512)
    texts = [tuple(range(start, start + 100)) for start in (0, 1000, 2000)]
    for text in texts[:2]:
        checkpoints.put(checkpoint(text, 50))
        checkpoints.put(checkpoint(text, 90))
    checkpoints.used(checkpoints.before(texts[0], ())[1])
    checkpoints.put(checkpoint(texts[2], 50))
    assert [kept(checkpoints, text) for text in texts] == [[50, 90], [90], [50]], "of two that are passed, the unused"
    checkpoints.put(checkpoint(texts[2], 90))
    assert [kept(checkpoints, text) for text in texts] == [[90], [90], [50, 90]]
    checkpoints.put(checkpoint(texts[2], 95, size=25))
    assert [kept(checkpoints, text) for text in texts] == [[], [90], [95]]
    assert checkpoints.size == 35


def test_what_is_larger_than_all_that_may_be_kept_is_not_tried_again() -> None:
    checkpoints = Checkpoints(CheckpointLimits(size=100), 512)
    checkpoints.put(checkpoint(TEXT, 100))
    assert not checkpoints.put(checkpoint(TEXT, 1000, size=101))
    assert kept(checkpoints) == [100], "and nothing goes for it"
    assert checkpoints.stops(2000, (900,)) == (900,)
    assert not checkpoints.is_due(TEXT, (), 20_000, is_stop=False)


TEXTS = st.lists(st.integers(0, 1), min_size=1, max_size=12).map(tuple)


@given(
    limits=st.builds(CheckpointLimits, count=st.integers(1, 4), min_step=st.integers(0, 6), size=st.integers(1, 60)),
    puts=st.lists(st.tuples(TEXTS, st.integers(1, 12), st.integers(1, 30), st.booleans()), max_size=30),
    prompt=TEXTS,
)
def test_whatever_is_put(limits: CheckpointLimits, puts: list[tuple[tuple[int, ...], int, int, bool]], prompt: tuple[int, ...]) -> None:  # fmt: skip  # noqa: E501
    """Bounds hold, what was put last is there, and what is found is a beginning of what is asked for."""
    checkpoints = Checkpoints(limits, 4)
    for tokens, length, size, is_used in puts:
        new = checkpoint(tokens, min(length, len(tokens)), size)
        if not checkpoints.is_due(tokens, (), new.length, is_stop=True):
            continue
        assert checkpoints.put(new) is (size <= limits.size)
        found = checkpoints.before((*tokens[: new.length], 2), ())
        assert (new in found) is (size <= limits.size)
        assert len(found) <= limits.count
        assert checkpoints.size <= limits.size
        if is_used and found:
            checkpoints.used(found[-1])
    found = checkpoints.before(prompt, ())
    assert all(common_prefix(one.tokens, prompt) >= one.length < len(prompt) for one in found)
    assert found == sorted(found, key=lambda one: -one.length)
    assert len({one.length for one in found}) == len(found), "none is kept twice"
