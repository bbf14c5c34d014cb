"""What goes into a batch: requests and limits in, chunks out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.scheduler import Limits, plan_batch
from runtime.engine.sequence import Sequence
from runtime.engine.types import GenerationRequest

LIMITS = Limits(batch=16, prefill_beside_streams=8)


def prefilling(prompt: int, computed: int = 0) -> Sequence:
    """A sequence with `prompt` tokens, of which `computed` are done."""
    sequence = Sequence(GenerationRequest(tuple(range(prompt))))
    sequence.computed = computed
    return sequence


def streaming(length: int = 5) -> Sequence:
    """A sequence that has just sampled a token."""
    sequence = prefilling(length - 1, length - 1)
    sequence.tokens.append(0)
    return sequence


TABLE = [
    ("nothing to do", [], []),
    ("a short prompt whole, with logits", [prefilling(5)], [(0, 0, 5, True)]),
    ("a long prompt in chunks", [prefilling(40)], [(0, 0, 16, False)]),
    ("its next chunk", [prefilling(40, 16)], [(0, 16, 16, False)]),
    ("its last chunk", [prefilling(40, 32)], [(0, 32, 8, True)]),
    ("a stream, one token", [streaming(5)], [(0, 4, 1, True)]),
    ("streams first, then prompts", [prefilling(40), streaming()], [(1, 4, 1, True), (0, 0, 8, False)]),
    ("two prompts in order of arrival", [prefilling(10), prefilling(10)], [(0, 0, 10, True), (1, 0, 6, False)]),
    ("no room for a third", [prefilling(10), prefilling(10), prefilling(3)], [(0, 0, 10, True), (1, 0, 6, False)]),
    ("one token left of a prompt is a prompt", [prefilling(5, 4), streaming()], [(1, 4, 1, True), (0, 4, 1, True)]),
]  # fmt: skip


@pytest.mark.parametrize(("running", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_plan(running: list[Sequence], expected: list[tuple[int, int, int, bool]]) -> None:
    chunks = plan_batch(running, LIMITS)
    assert [(running.index(c.sequence), c.start, c.count, c.wants_logits) for c in chunks] == expected


@given(
    st.lists(st.one_of(st.builds(prefilling, st.integers(1, 60)), st.builds(streaming, st.integers(2, 9))), max_size=12)
)
def test_every_plan_keeps_to_the_limits(running: list[Sequence]) -> None:
    chunks = plan_batch(running, LIMITS)
    assert sum(chunk.count for chunk in chunks) <= LIMITS.batch
    assert len({chunk.sequence for chunk in chunks}) == len(chunks)
    streams = [sequence for sequence in running if not sequence.is_prefilling]
    assert set(streams) <= {chunk.sequence for chunk in chunks}, "a stream was left out"
    if streams:
        prompts = sum(chunk.count for chunk in chunks if chunk.sequence.is_prefilling)
        assert prompts <= LIMITS.prefill_beside_streams
    if running:
        assert chunks, "something could be done, and nothing was planned"
