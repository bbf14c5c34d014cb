"""An engine that is given up while its thread is in the backend, and does not come back: a worker was lost."""

from __future__ import annotations

import asyncio
import threading

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import EngineError, StillLoading, WorkerLost
from runtime.engine.types import GenerationRequest
from support.engine_runs import vectors_of
from support.fakes import FakeContext, FakeSampler

LOST = WorkerLost("there:50052", "a test said so")


@pytest.fixture(autouse=True)
def nobody_frees_samplers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever would is stuck; other tests count them."""
    monkeypatch.setattr(FakeSampler, "live", 0)


def run_stuck(gate: threading.Semaphore) -> tuple[Engine, FakeContext]:
    """An engine whose batches wait for `gate`."""
    context = FakeContext(gate=gate)
    engine = Engine(lambda: context)
    engine.start()
    engine.ready.result(timeout=10)
    return engine, context


def test_everything_ends_with_the_reason() -> None:
    gate = threading.Semaphore(2)
    engine, context = run_stuck(gate)

    async def ask() -> None:
        running = engine.submit(GenerationRequest((1, 2), max_tokens=50))
        events = running.bursts()
        await anext(events)
        waiting = [engine.submit(GenerationRequest((5,), max_tokens=50)) for _ in range(9)]
        vectors = engine.embed(vectors_of((1, 2)))
        erased = engine.erase_slot(3)
        threading.Thread(target=engine.lose, args=(LOST,)).start()
        for one in waiting:
            with pytest.raises(WorkerLost):
                async for _event in one:
                    pass
        with pytest.raises(WorkerLost):
            async for _event in events:
                pass
        with pytest.raises(WorkerLost):
            await vectors
        assert erased.exception(timeout=10) is LOST
        for attempt in (lambda: engine.submit(GenerationRequest((1,))), engine.backend, engine.stats):
            with pytest.raises(WorkerLost):
                attempt()
        assert engine.lost.result() is LOST
        engine.stop()
        engine.join(timeout=10)

    asyncio.run(asyncio.wait_for(ask(), 30))
    assert engine.finished.done()
    assert not context.closed, "who is stuck in it may still use it"
    gate.release(100)


def test_what_comes_after_the_reason_is_not_heard() -> None:
    """The thread was not stuck, and goes on for a batch."""
    gate = threading.Semaphore(1)
    engine, _context = run_stuck(gate)

    async def ask() -> list[EngineError]:
        running = engine.submit(GenerationRequest((1, 2), max_tokens=50))
        events = running.bursts()
        await anext(events)
        engine.lose(LOST)
        gate.release(100)
        engine.lose(WorkerLost("elsewhere:1", "a second one"))
        engine.stop()
        engine.join(timeout=10)
        try:
            async for _event in events:
                pass
        except EngineError as error:
            return [error]
        return []

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == [LOST]


def test_while_it_loads() -> None:
    opened = threading.Event()

    def open_backend() -> FakeContext:
        opened.wait()
        return FakeContext()

    engine = Engine(open_backend)
    engine.start()
    with pytest.raises(StillLoading):
        engine.backend()
    engine.lose(LOST)
    assert engine.ready.exception(timeout=10) is LOST
    engine.stop()
    engine.join(timeout=10)
    assert engine.finished.done()
    opened.set()


def test_while_it_stops() -> None:
    gate = threading.Semaphore(0)
    engine, _context = run_stuck(gate)

    async def ask() -> None:
        running = engine.submit(GenerationRequest((1, 2)))
        engine.stop()
        engine.lose(LOST)
        engine.join(timeout=10)
        assert engine.finished.done()
        with pytest.raises(EngineError):
            async for _event in running:
                pass

    asyncio.run(asyncio.wait_for(ask(), 30))
    gate.release(100)
