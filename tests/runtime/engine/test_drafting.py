"""A draft model beside the model, in the engine: the text is the same, what the draft model read is not read again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine.backend import BatchItem, Drafter
from runtime.engine.engine import Engine
from runtime.engine.types import GenerationRequest
from runtime.engine.weights import Weights
from runtime.engine.worth import Record, Worth
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext, FakeModel


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guess whenever it is possible: what is worth it is no question of the fakes' clock."""

    def depth(_self: Worth, _record: Record, _behind: int, _generated: int, at_most: int) -> int:
        return at_most

    monkeypatch.setattr(Worth, "depth", depth)


class Wrong(FakeModel):
    """Counts, but for what comes after every `wrong_after`-th token."""

    def __init__(self, wrong_after: int) -> None:
        super().__init__(ends_at=-1)
        self.wrong_after = wrong_after

    def after(self, token: int) -> int:
        return token + 5 if token % self.wrong_after == 0 else super().after(token)


def with_draft(draft: FakeContext, **more: object) -> FakeContext:
    usual = {"n_ctx": 2000, "n_batch": 64, "n_ubatch": 64, "max_draft": 4, "looks_up": False}
    more = {**usual, "model": FakeModel(ends_at=-1), **more}
    return FakeContext(drafter=Drafter(Weights(Path("draft.gguf")), draft.model, draft), **more)  # type: ignore[arg-type]


def counting(first: int, count: int) -> str:
    return "".join(f"{n} " for n in range(first, first + count))


def tokens_in(batches: list[list[BatchItem]]) -> list[int]:
    return [token for batch in batches for item in batch for token in item.tokens]


def test_right_guesses_make_few_steps() -> None:
    draft = FakeContext(n_ctx=2000, model=FakeModel(ends_at=-1))
    context = with_draft(draft)

    async def body(engine: Engine) -> None:
        text, last = await collect(engine.submit(request(1, 2, 3, max_tokens=101)))
        assert text == counting(4, 101)
        assert last.usage.drafted_tokens == last.usage.accepted_tokens == 80
        assert len(context.batches) == 1 + 20
        assert len(draft.batches) == 80
        assert len(tokens_in(draft.batches)) <= 103, "each token was read once"

    with_engine(context, body)


@settings(max_examples=30, deadline=None)
@given(
    wrong_after=st.integers(1, 9),
    max_draft=st.integers(1, 8),
    prompts=st.lists(st.integers(1, 40), min_size=1, max_size=9),
    looks_up=st.booleans(),
    n_ctx=st.sampled_from([60, 200, 2000]),
)
def test_the_text_is_the_same_whatever_is_guessed(
    wrong_after: int, max_draft: int, prompts: list[int], looks_up: bool, n_ctx: int
) -> None:
    """Several streams at once, with pools that may be too small for all of them."""
    draft = FakeContext(n_ctx=n_ctx, n_slots=4, model=Wrong(wrong_after))
    context = with_draft(draft, n_ctx=n_ctx, max_draft=max_draft, looks_up=looks_up)

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(*range(50, 50 + n), max_tokens=15))) for n in prompts]
        for n, (text, last) in zip(prompts, await asyncio.gather(*runs), strict=True):
            assert text == counting(50 + n, last.usage.generated_tokens)
            assert last.usage.generated_tokens == 15 or n_ctx == 60
        assert all(len(batch) <= 4 for batch in draft.batches)

    with_engine(context, body)


def test_wrong_guesses_are_taken_back() -> None:
    """What the draft model holds is what was said, but for its last guesses."""
    draft = FakeContext(n_ctx=2000, model=Wrong(3))

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(1, 2, max_tokens=60)))
        held = [token for token, _cell in draft.held[0]]
        assert len(held) > 50
        assert held[:-4] == list(range(1, len(held) - 3))

    with_engine(with_draft(draft), body)


def test_streams_guess_together() -> None:
    draft = FakeContext(n_ctx=2000, n_batch=64, n_ubatch=64, model=FakeModel(ends_at=-1))

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(100 * i, max_tokens=41))) for i in range(1, 5)]
        for i, (text, _last) in enumerate(await asyncio.gather(*runs), start=1):
            assert text == counting(100 * i + 1, 41)
        assert sum(len(batch) == 4 for batch in draft.batches) > len(draft.batches) * 0.8

    with_engine(with_draft(draft), body)


def test_what_one_has_read_the_next_need_not() -> None:
    """A second turn, and another conversation with the same beginning."""
    draft = FakeContext(n_ctx=2000, n_batch=512, n_ubatch=512, model=FakeModel(ends_at=-1))
    prompt = tuple(range(100, 300))

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(*prompt, max_tokens=11)))
        del draft.batches[:]
        await collect(engine.submit(request(*prompt, *range(300, 311), 900, max_tokens=11)))
        await collect(engine.submit(msgspec.structs.replace(request(*prompt, 800, max_tokens=11), slot=3)))
        assert not {*prompt} & {*tokens_in(draft.batches)}

    with_engine(with_draft(draft), body)


def test_a_long_prompt_is_read_in_pieces_while_others_go_on() -> None:
    draft = FakeContext(n_ctx=2000, n_batch=64, n_ubatch=8, model=FakeModel(ends_at=-1))
    context = with_draft(draft, n_batch=512, n_ubatch=512)

    async def body(engine: Engine) -> None:
        runs = [request(500, max_tokens=200), request(*range(100, 400), max_tokens=60)]
        texts = [text for text, _last in await asyncio.gather(*(collect(engine.submit(run)) for run in runs))]
        assert texts == [counting(501, 200), counting(400, 60)]
        assert max(sum(len(item.tokens) for item in batch) for batch in draft.batches) <= 8

    with_engine(context, body)


def test_tokens_that_the_draft_model_does_not_know() -> None:
    """It has fewer: such a text goes on without guesses, and guesses that the model does not know are none."""
    small = FakeModel(ends_at=-1)
    small.facts = msgspec.structs.replace(small.facts, vocabulary_size=110)
    draft = FakeContext(n_ctx=2000, model=small)

    async def body(engine: Engine) -> None:
        text, last = await collect(engine.submit(request(100, max_tokens=30)))
        assert text == counting(101, 30)
        assert 0 < last.usage.drafted_tokens <= 9
        text, last = await collect(engine.submit(request(500, max_tokens=30)))
        assert (text, last.usage.drafted_tokens) == (counting(501, 30), 0)

    with_engine(with_draft(draft), body)


def test_a_draft_model_that_fails_is_not_asked_again() -> None:
    draft = FakeContext(n_ctx=2000, fail_at=3, model=FakeModel(ends_at=-1))

    async def body(engine: Engine) -> None:
        for _ in range(2):
            text, _last = await collect(engine.submit(request(1, max_tokens=50)))
            assert text == counting(2, 50)
        assert len(draft.batches) == 3

    with_engine(with_draft(draft), body)


def test_a_context_that_is_shifted() -> None:
    draft = FakeContext(n_ctx=40, model=FakeModel(ends_at=-1))

    async def body(engine: Engine) -> None:
        text, _last = await collect(engine.submit(GenerationRequest((1, 2, 3), 100, n_keep=2)))
        assert text == counting(4, 100)

    with_engine(with_draft(draft, n_ctx=40), body, shifts=True)


def test_lookup_comes_first() -> None:
    """A text that goes round and round is guessed from itself, and the draft model has next to nothing to do."""
    draft = FakeContext(n_ctx=2000, model=FakeModel(wraps_at=9))
    context = with_draft(draft, looks_up=True, model=FakeModel(wraps_at=9))

    async def body(engine: Engine) -> None:
        _text, last = await collect(engine.submit(request(1, 2, 3, max_tokens=200)))
        assert last.usage.accepted_tokens > 100
        assert len(draft.batches) < 40

    with_engine(context, body)
