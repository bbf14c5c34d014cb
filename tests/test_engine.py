"""The worker thread over the fake backend: what clients get, and what happens to the pool meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fakes import FakeContext, FakeModel, FakeSampler

from runtime.engine.engine import Engine
from runtime.engine.errors import (
    DecodeFailed,
    EmptyPrompt,
    EngineError,
    EngineStopped,
    ModelLoadFailed,
    PromptTooLong,
    QueueFull,
    StillLoading,
)
from runtime.engine.generation import Generation
from runtime.engine.types import FinishedEvent, FinishReason, GenerationRequest


def with_engine(context: FakeContext, body: Callable[[Engine], Awaitable[None]], *, max_waiting: int = 100) -> None:
    """Run `body` with a started engine, then stop it and see that nothing is left."""

    async def main() -> None:
        engine = Engine(lambda: context, max_waiting=max_waiting)  # type: ignore[arg-type,return-value]
        engine.start()
        await asyncio.wrap_future(engine.ready)
        try:
            await asyncio.wait_for(body(engine), 30)
        finally:
            engine.stop()
            if context.gate is not None:
                context.gate.release(1000)
            engine.join(10)
        assert context.closed
        assert context.model.closed
        assert FakeSampler.live == 0, "a sampler was not freed"

    asyncio.run(main())


def request(*prompt: int, max_tokens: int | None = None, stop: tuple[str, ...] = ()) -> GenerationRequest:
    return GenerationRequest(prompt, max_tokens, stop)


async def collect(generation: Generation) -> tuple[str, FinishedEvent]:
    text = ""
    async for event in generation:
        text += event.text
        if isinstance(event, FinishedEvent):
            return text, event
    raise AssertionError("no FinishedEvent")


ENDINGS: list[tuple[str, dict[str, Any], str, FinishReason]] = [
    ("the model ends it", {"model": FakeModel(ends_at=8)}, "4 5 6 7 ", FinishReason.END_OF_TEXT),
    ("enough tokens", {"max_tokens": 2}, "4 5 ", FinishReason.MAX_TOKENS),
    ("no tokens wanted", {"max_tokens": 0}, "", FinishReason.MAX_TOKENS),
    ("a stop string over two tokens", {"stop": ("5 6",)}, "4 ", FinishReason.STOP_STRING),
    ("the context is full", {"n_ctx": 6}, "4 5 6 ", FinishReason.CONTEXT_FULL),
]


@pytest.mark.parametrize(("options", "text", "reason"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS])
def test_endings(options: dict[str, Any], text: str, reason: FinishReason) -> None:
    asked = {name: options[name] for name in ("max_tokens", "stop") if name in options}
    context = FakeContext(**{name: value for name, value in options.items() if name not in asked})

    async def body(engine: Engine) -> None:
        got, last = await collect(engine.submit(request(1, 2, 3, **asked)))
        assert (got, last.reason) == (text, reason)
        assert last.usage.prompt_tokens == 3

    with_engine(context, body)


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


def test_a_full_pool_makes_requests_wait_and_loses_nothing() -> None:
    context = FakeContext(n_ctx=40)

    async def body(engine: Engine) -> None:
        runs = [collect(engine.submit(request(i * 100, max_tokens=30))) for i in range(1, 8)]
        for i, (text, last) in enumerate(await asyncio.gather(*runs), start=1):
            assert last.reason is FinishReason.MAX_TOKENS
            assert text == "".join(f"{i * 100 + k} " for k in range(1, 31))

    with_engine(context, body)


def test_a_lone_sequence_that_outgrows_the_pool_ends_with_a_reason() -> None:
    context = FakeContext(n_ctx=20)

    async def body(engine: Engine) -> None:
        _text, last = await collect(engine.submit(request(1)))
        assert last.reason is FinishReason.CONTEXT_FULL

    with_engine(context, body)


def test_abort_frees_the_slot_within_one_step() -> None:
    context = FakeContext(n_slots=1, n_ctx=1000, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        first = engine.submit(request(1))
        second = engine.submit(request(500, max_tokens=1))
        context.gate.release()
        await anext(first.__aiter__())
        first.abort()
        steps = len(context.batches)
        context.gate.release(1000)
        text, _last = await collect(second)
        assert text == "501 "
        assert len(context.batches) <= steps + 2

    with_engine(context, body)


def test_aborting_what_waits_or_has_ended_is_harmless() -> None:
    context = FakeContext(n_slots=1)

    async def body(engine: Engine) -> None:
        running = engine.submit(request(1, max_tokens=20))
        waiting = engine.submit(request(2))
        waiting.abort()
        await collect(running)
        running.abort()
        assert (await collect(engine.submit(request(7, max_tokens=1))))[0] == "8 "

    with_engine(context, body)


def test_a_failed_batch_fails_its_requests_and_nothing_else() -> None:
    context = FakeContext(fail_at=2, n_ctx=1000)

    async def body(engine: Engine) -> None:
        with pytest.raises(DecodeFailed):
            await collect(engine.submit(request(1, 2, 3)))
        assert (await collect(engine.submit(request(1, 2, 3, max_tokens=1))))[0] == "4 "

    with_engine(context, body)


@pytest.mark.parametrize(
    ("prompt", "error"), [((), EmptyPrompt), (tuple(range(100)), PromptTooLong), (tuple(range(101)), PromptTooLong)]
)
def test_requests_that_cannot_be_done_are_refused_at_once(prompt: tuple[int, ...], error: type[EngineError]) -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(error):
            engine.submit(request(*prompt))

    with_engine(FakeContext(n_ctx=100), body)


def test_the_queue_is_bounded() -> None:
    context = FakeContext(n_slots=1, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        for i in range(20):
            try:
                engine.submit(request(i + 1, max_tokens=1))
            except QueueFull as error:
                assert error.waiting == 3
                return
        raise AssertionError("twenty requests were taken")

    with_engine(context, body, max_waiting=3)


def test_stopping_ends_what_runs_and_what_waits() -> None:
    context = FakeContext(n_slots=1, gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        generations = [engine.submit(request(1)), engine.submit(request(2))]
        engine.stop()
        context.gate.release(1000)
        for generation in generations:
            with pytest.raises(EngineStopped):
                await collect(generation)
        with pytest.raises(EngineStopped):
            engine.submit(request(3))

    with_engine(context, body)


def test_requests_are_refused_while_loading_and_after_loading_failed(tmp_path: Any) -> None:
    loading = threading.Event()

    def fail() -> Any:
        loading.wait()
        raise ModelLoadFailed(tmp_path, "broken")

    async def main() -> None:
        engine = Engine(fail)
        engine.start()
        with pytest.raises(StillLoading):
            engine.submit(request(1))
        loading.set()
        with pytest.raises(ModelLoadFailed):
            await asyncio.wrap_future(engine.ready)
        with pytest.raises(ModelLoadFailed):
            engine.submit(request(1))
        engine.stop()
        engine.join(10)

    asyncio.run(main())
