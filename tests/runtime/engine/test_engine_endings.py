"""How generations end, over the fake backend: by themselves, aborted, failed, refused, or with the engine."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

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
from runtime.engine.types import FinishReason, GenerationRequest
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext, FakeModel

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


def test_a_lone_sequence_that_outgrows_the_pool_ends_with_a_reason() -> None:
    context = FakeContext(n_ctx=20)

    async def body(engine: Engine) -> None:
        _text, last = await collect(engine.submit(request(1)))
        assert last.reason is FinishReason.CONTEXT_FULL

    with_engine(context, body)


def test_a_time_limit_ends_a_generation_with_what_there_is() -> None:
    async def body(engine: Engine) -> None:
        wanted = GenerationRequest((1, 2, 3), time_limit=0.0)
        text, last = await collect(engine.submit(wanted))
        assert (text, last.reason) == ("4 ", FinishReason.TIME_LIMIT)

    with_engine(FakeContext(), body)


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
