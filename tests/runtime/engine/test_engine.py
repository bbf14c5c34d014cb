"""The worker thread over the fake backend: what clients get, and what happens to the pool meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from runtime.engine.engine import Engine
from runtime.engine.types import FinishReason, GenerationRequest
from runtime.engine.weights import Adapter, Weights
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext, FakeModel

# -- one pool for many ----------------------------------------------------------------------------------------


def test_many_at_once_each_get_their_own() -> None:
    context = FakeContext(n_ctx=2000)

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(i * 10, max_tokens=5))) for i in range(1, 41)]
        for i, (text, _last) in enumerate(await asyncio.gather(*runs), start=1):
            assert text == "".join(f"{i * 10 + k} " for k in range(1, 6))
        assert max(len(batch) for batch in context.batches) == context.n_slots

    with_engine(context, body)


def test_a_prefix_is_computed_once_even_from_a_running_sequence() -> None:
    context = FakeContext(n_ctx=500, gate=threading.Semaphore(0))
    prefix = tuple(range(100, 112))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        first = engine.submit(request(*prefix, 1, max_tokens=50))
        context.gate.release()
        events = first.__aiter__()
        await anext(events)  # the prefix has been computed, and the first goes on
        second = engine.submit(request(*prefix, 2, max_tokens=1))
        context.gate.release(1000)
        _text, last = await collect(second)
        assert last.usage.cached_tokens == len(prefix)
        computed = [token for batch in context.batches for item in batch for token in item.tokens]
        assert computed.count(prefix[0]) == 1
        first.abort()

    with_engine(context, body)


def test_who_shares_a_prefix_that_is_being_computed_waits_for_it() -> None:
    """Sixteen requests with one long beginning, eight at a time: it is computed once."""
    context = FakeContext(n_ctx=5000, n_slots=8, n_batch=64, n_ubatch=64)
    prefix = tuple(range(1000, 1300))

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(*prefix, 10 * i, max_tokens=4))) for i in range(1, 17)]
        for i, (text, _last) in enumerate(await asyncio.gather(*runs), start=1):
            assert text == "".join(f"{10 * i + k} " for k in range(1, 5))
        computed = [token for batch in context.batches for item in batch for token in item.tokens]
        assert computed.count(prefix[0]) == computed.count(prefix[-1]) == 1

    with_engine(context, body)


def test_a_stream_lets_a_batch_of_first_tokens_go_before_it_and_no_more() -> None:
    context = FakeContext(n_ctx=2000, n_slots=64, n_batch=32, n_ubatch=16, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        first = collect(engine.submit(request(1, max_tokens=3)))
        others = [collect(engine.submit(request(99 * i, 99 * i, 99 * i, max_tokens=2))) for i in range(1, 41)]
        context.gate.release(1000)
        answers = await asyncio.gather(first, *others)
        assert answers[0][0] == "2 3 4 "
        computed = [[token for item in batch for token in item.tokens] for batch in context.batches]
        waited = next(number for number, tokens in enumerate(computed) if 2 in tokens)
        assert context.n_batch <= sum(map(len, computed[1:waited])) < context.n_batch + context.n_ubatch

    with_engine(context, body)


def test_a_full_pool_makes_requests_wait_and_loses_nothing() -> None:
    context = FakeContext(n_ctx=40)

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(i * 100, max_tokens=30))) for i in range(1, 8)]
        for i, (text, last) in enumerate(await asyncio.gather(*runs), start=1):
            assert last.reason is FinishReason.MAX_TOKENS
            assert text == "".join(f"{i * 100 + k} " for k in range(1, 31))

    with_engine(context, body)


# -- guessing -------------------------------------------------------------------------------------------------


def test_guesses_change_when_the_text_comes_and_not_what_it_is() -> None:
    """A model that repeats itself is guessed right, several tokens a step."""
    plain, guessing = (FakeContext(n_ctx=200, max_draft=n, model=FakeModel(wraps_at=9)) for n in (0, 8))
    texts = []

    async def body(engine: Engine) -> None:
        text, last = await collect(engine.submit(request(1, 2, 3, max_tokens=100)))
        texts.append((text, last.usage.generated_tokens, last.reason))
        texts.append(await collect(engine.submit(request(1, 2, 3, 4, max_tokens=7, stop=("9 1",)))))

    with_engine(plain, body)
    with_engine(guessing, body)
    assert texts[0] == texts[2]
    assert texts[1][0] == texts[3][0]
    assert len(guessing.batches) < len(plain.batches) / 2


def test_wrong_guesses_leave_nothing_behind() -> None:
    """The prompt says 1 2 3 9 9 …, the model counts: every guess is wrong, and the pool holds what was really said."""
    context = FakeContext(n_ctx=500, max_draft=8)

    async def body(engine: Engine) -> None:
        prompt = (20, 21, 22, 90, 90, 90, 17)
        text, last = await collect(engine.submit(request(*prompt, max_tokens=40)))
        assert text == "".join(f"{n} " for n in range(18, 58))
        assert last.usage.drafted_tokens > 0
        assert last.usage.accepted_tokens == 0
        held = [token for token, _cell in context.held[0]]
        assert held == [*prompt, *range(18, 57)]
        assert engine.stats().cells_used == len(held)

    with_engine(context, body)


def test_nothing_is_guessed_where_it_could_not_be_taken_back() -> None:
    context = FakeContext(n_ctx=200, max_draft=8, model=FakeModel(wraps_at=5, keeps_state=True))

    async def body(engine: Engine) -> None:
        _text, last = await collect(engine.submit(request(1, 2, 3, max_tokens=50)))
        assert last.usage.drafted_tokens == 0

    with_engine(context, body)


# -- a context that is too small ------------------------------------------------------------------------------


def test_a_shifted_context_goes_on() -> None:
    context = FakeContext(n_ctx=20)

    async def body(engine: Engine) -> None:
        wanted = GenerationRequest((1, 2, 3), max_tokens=60, n_keep=2)
        text, last = await collect(engine.submit(wanted))
        assert text == "".join(f"{n} " for n in range(4, 64))
        assert last.shifted
        assert last.usage.generated_tokens == 60
        assert last.usage.prompt_tokens == 3
        assert [token for token, _cell in context.held[0]][:2] == [1, 2], "the first n_keep stay"

    with_engine(context, body, shifts=True)


def test_a_shift_forgets_everything_where_the_memory_keeps_a_state() -> None:
    context = FakeContext(n_ctx=20, model=FakeModel(keeps_state=True))

    async def body(engine: Engine) -> None:
        text, last = await collect(engine.submit(GenerationRequest((1, 2, 3), max_tokens=40, n_keep=-1)))
        assert text == "".join(f"{n} " for n in range(4, 44))
        assert last.shifted

    with_engine(context, body, shifts=True)


def test_many_share_a_pool_that_is_shifted() -> None:
    context = FakeContext(n_ctx=40)

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(i * 100, max_tokens=60))) for i in range(1, 8)]
        for i, (text, _last) in enumerate(await asyncio.gather(*runs), start=1):
            assert text == "".join(f"{i * 100 + k} " for k in range(1, 61))

    with_engine(context, body, shifts=True)


# -- adapters -------------------------------------------------------------------------------------------------

ADAPTERS = (Adapter("one", Weights(Path("one"))), Adapter("two", Weights(Path("two")), 0.5))


def test_each_batch_has_one_set_of_adapters() -> None:
    context = FakeContext(n_ctx=500, adapters=ADAPTERS)

    async def body(engine: Engine) -> None:
        assert engine.scales == (1.0, 0.5)
        wanted = [GenerationRequest((1,), 10), GenerationRequest((100,), 10, scales=(0.0, 0.0))]
        engine_runs = [collect(engine.submit(one)) for one in wanted]
        engine.set_scales((2.0, 2.0))
        engine_runs.append(collect(engine.submit(GenerationRequest((200,), 10))))
        texts = [text for text, _last in await asyncio.gather(*engine_runs)]
        assert texts == ["".join(f"{start + k} " for k in range(1, 11)) for start in (1, 100, 200)]
        assert set(context.scales) == {(1.0, 0.5), (0.0, 0.0), (2.0, 2.0)}
        for batch, scales in zip(context.batches, context.scales, strict=True):
            assert len(batch) == 1, f"sequences with other adapters were in the batch with {scales}"

    with_engine(context, body)
