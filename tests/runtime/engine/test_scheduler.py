"""What goes into a batch: requests and limits in, chunks out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.scheduler import Limits, TextLimits, plan_batch, plan_texts
from runtime.engine.sequence import Sequence
from runtime.engine.types import GenerationRequest

LIMITS = Limits(batch=16, beside_streams=8)


def prefilling(prompt: int, computed: int = 0, scales: tuple[float, ...] = ()) -> Sequence:
    """A sequence with `prompt` tokens, of which `computed` are done."""
    sequence = Sequence(GenerationRequest(tuple(range(prompt))), scales)
    sequence.computed = computed
    return sequence


def streaming(length: int = 5, draft: int = 0, scales: tuple[float, ...] = ()) -> Sequence:
    """A sequence that has been going for two tokens, and guesses `draft` more."""
    sequence = prefilling(length - 2, length - 2, scales)
    sequence.append(0)
    sequence.append(0)
    sequence.computed += 1
    sequence.draft = tuple(range(draft))
    return sequence


def starting(yielded: int = 0) -> Sequence:
    """A sequence that has its first token, and sat out batches of `yielded` tokens since."""
    sequence = prefilling(4, 4)
    sequence.append(0)
    sequence.yielded = yielded
    return sequence


TABLE = [
    ("nothing to do", [], []),
    ("a short prompt whole, with logits", [prefilling(5)], [(0, 0, 5, True)]),
    ("a long prompt in chunks", [prefilling(40)], [(0, 0, 16, False)]),
    ("its next chunk", [prefilling(40, 16)], [(0, 16, 16, False)]),
    ("its last chunk", [prefilling(40, 32)], [(0, 32, 8, True)]),
    ("a stream, one token", [streaming(5)], [(0, 4, 1, True)]),
    ("streams first, then prompts", [prefilling(40), streaming()], [(1, 4, 1, True), (0, 0, 7, False)]),
    ("two prompts in order of arrival", [prefilling(10), prefilling(10)], [(0, 0, 10, True), (1, 0, 6, False)]),
    ("no room for a third", [prefilling(10), prefilling(10), prefilling(3)], [(0, 0, 10, True), (1, 0, 6, False)]),
    ("one token left of a prompt is a prompt", [prefilling(5, 4), streaming()], [(1, 4, 1, True), (0, 4, 1, True)]),
]  # fmt: skip


@pytest.mark.parametrize(("running", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_plan(running: list[Sequence], expected: list[tuple[int, int, int, bool]]) -> None:
    chunks = plan_batch(running, LIMITS)
    assert [(running.index(c.sequence), c.start, c.count, c.outputs > 0) for c in chunks] == expected


YIELDING = [
    ("who has one token lets prompts go first that come to theirs", [starting(), prefilling(3), prefilling(4)], [1, 2]),
    ("those who have more do not", [starting(), streaming(), prefilling(3), prefilling(3)], [1, 2, 3]),
    ("nor for one prompt only", [starting(), prefilling(3)], [0, 1]),
    ("nor for one that does not end yet", [starting(), prefilling(4), prefilling(40)], [0, 1, 2]),
    ("nor where the first does not", [starting(), prefilling(40), prefilling(4)], [0, 1]),
    ("as long as it waited for less than a batch", [starting(15), prefilling(3), prefilling(4)], [1, 2]),
    ("and no longer", [starting(16), prefilling(3), prefilling(4)], [0, 1, 2]),
    ("each for itself", [starting(16), starting(), prefilling(3), prefilling(3)], [0, 2, 3]),
    ("a chunk is no longer for it", [starting(), *(prefilling(3) for _ in range(4))], [1, 2, 3]),
]


@pytest.mark.parametrize(("running", "expected"), [row[1:] for row in YIELDING], ids=[row[0] for row in YIELDING])
def test_first_tokens_come_before_second_ones(running: list[Sequence], expected: list[int]) -> None:
    chunks = plan_batch(running, LIMITS)
    assert [running.index(chunk.sequence) for chunk in chunks] == expected
    assert sum(chunk.count for chunk in chunks if chunk.sequence.is_prefilling) <= LIMITS.beside_streams


GUESSES = [
    ("guesses follow the token", [streaming(5, draft=3)], [(0, 3, 4)]),
    ("they come before prompts", [prefilling(40), streaming(5, draft=10)], [(1, 10, 11), (0, 0, 0)]),
    ("every stream's token comes before guesses", [streaming(draft=20), streaming()], [(0, 14, 15), (1, 0, 1)]),
    ("no room for more", [streaming(draft=14), streaming(draft=14)], [(0, 14, 15), (1, 0, 1)]),
]


@pytest.mark.parametrize(("running", "expected"), [row[1:] for row in GUESSES], ids=[row[0] for row in GUESSES])
def test_guesses(running: list[Sequence], expected: list[tuple[int, int, int]]) -> None:
    """(sequence, guesses in the batch, outputs that are wanted)."""
    chunks = plan_batch(running, LIMITS)
    assert [(running.index(c.sequence), len(c.draft), c.outputs) for c in chunks] == expected


def test_adapters_take_turns() -> None:
    plain, strong, other = streaming(), streaming(scales=(1.0,)), prefilling(3, scales=(1.0,))
    running = [plain, strong, other]
    first = plan_batch(running, LIMITS, None)
    assert [chunk.sequence for chunk in first] == [plain]
    second = plan_batch(running, LIMITS, plain.scales)
    assert [chunk.sequence for chunk in second] == [strong, other]
    assert [chunk.sequence for chunk in plan_batch(running, LIMITS, strong.scales)] == [plain]
    assert [chunk.sequence for chunk in plan_batch(running, LIMITS, (9.0,))] == [plain], "those have ended"


TEXTS: list[tuple[str, list[int], int]] = [
    ("none", [], 0),
    ("all that fit", [3, 3, 3], 3),
    ("as many as there may be", [1] * 9, 4),
    ("as many tokens as there may be", [6, 6, 6], 2),
    ("one alone, whatever its length", [99, 1], 1),
]


@pytest.mark.parametrize(("lengths", "expected"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_texts(lengths: list[int], expected: int) -> None:
    assert plan_texts(lengths, TextLimits(texts=4, tokens=16)) == expected


@given(
    st.lists(
        st.one_of(
            st.builds(prefilling, st.integers(1, 60)),
            st.builds(streaming, st.integers(3, 9), st.integers(0, 20)),
            st.builds(starting, st.integers(0, 20)),
        ),
        max_size=12,
    )
)
def test_every_plan_keeps_to_the_limits(running: list[Sequence]) -> None:
    chunks = plan_batch(running, LIMITS)
    assert sum(chunk.count + len(chunk.draft) for chunk in chunks) <= LIMITS.batch
    assert len({chunk.sequence for chunk in chunks}) == len(chunks)
    streams = [sequence for sequence in running if not sequence.is_prefilling]
    left_out = set(streams) - {chunk.sequence for chunk in chunks}
    assert all(stream.generated == 1 and stream.yielded < LIMITS.batch for stream in left_out), "a stream was left out"
    if left_out:
        ending = [chunk for chunk in chunks if chunk.sequence.is_prefilling and chunk.outputs]
        assert len(ending) > 1, "for nobody's first token"
    if streams:
        prompts = sum(chunk.count for chunk in chunks if chunk.sequence.is_prefilling)
        assert prompts <= LIMITS.beside_streams
        beside = sum(chunk.count + len(chunk.draft) for chunk in chunks) - prompts
        assert prompts <= max(LIMITS.beside_streams - beside, LIMITS.beside_streams // 2)
    if running:
        assert chunks, "something could be done, and nothing was planned"
