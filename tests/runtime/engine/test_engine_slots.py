"""Slots of the engine over the fake backend: saved, restored and erased, and what is told of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import EngineStopped, StateFailed, UnknownSlot
from runtime.engine.jobs import Generation
from runtime.engine.types import FinishedEvent, GenerationRequest, TokenEvent
from support.engine_runs import collect, events_of, request, with_engine
from support.fakes import FakeContext


def test_a_slot_can_be_saved_erased_and_restored(tmp_path: Path) -> None:
    context = FakeContext(n_slots=2)

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(1, 2, 3, max_tokens=3)))
        saved = await asyncio.wrap_future(engine.save_slot(0, tmp_path / "state"))
        assert saved.tokens == 5, "the last token was never computed"
        assert await asyncio.wrap_future(engine.erase_slot(0)) == 5
        assert engine.stats().cells_used == 0
        restored = await asyncio.wrap_future(engine.restore_slot(1, tmp_path / "state"))
        assert restored == saved
        _text, last = await collect(engine.submit(request(1, 2, 3, 4, 5, 9, max_tokens=1)))
        assert last.usage.cached_tokens == 5

    with_engine(context, body)


def test_what_cannot_be_restored_leaves_an_empty_slot(tmp_path: Path) -> None:
    context = FakeContext()
    (tmp_path / "bad").write_text("1 2 three")

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(1, 2, 3, max_tokens=3)))
        with pytest.raises(StateFailed):
            await asyncio.wrap_future(engine.restore_slot(0, tmp_path / "bad"))
        with pytest.raises(FileNotFoundError):
            await asyncio.wrap_future(engine.restore_slot(0, tmp_path / "missing"))
        with pytest.raises(UnknownSlot):
            await asyncio.wrap_future(engine.erase_slot(99))
        with pytest.raises(StateFailed):
            await asyncio.wrap_future(engine.save_slot(0, tmp_path / "empty"))
        assert engine.stats().cells_used == 0
        assert (await collect(engine.submit(request(1, 2, 3, max_tokens=1))))[0] == "4 "

    with_engine(context, body)


def test_a_restored_state_takes_the_room_of_other_cache(tmp_path: Path) -> None:
    context = FakeContext(n_ctx=20, n_slots=3)
    (tmp_path / "state").write_text(" ".join(map(str, range(1, 13))))

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(*range(50, 60), max_tokens=3)))
        await asyncio.wrap_future(engine.restore_slot(2, tmp_path / "state"))
        assert [slot.held_tokens for slot in engine.stats().slots] == [0, 0, 12]

    with_engine(context, body)


def test_a_running_slot_is_waited_for() -> None:
    context = FakeContext(n_slots=1, gate=threading.Semaphore(0), n_ctx=500)

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        running = engine.submit(request(1, max_tokens=100))
        context.gate.release()
        await anext(running.__aiter__())
        erasing = engine.erase_slot(0)
        context.gate.release(2)
        while len(context.batches) < 3:  # before the last of them, the slot was looked at
            await asyncio.sleep(0.001)
        assert not erasing.done()
        running.abort()
        context.gate.release(2)
        assert await asyncio.wrap_future(erasing) > 0
        left = engine.submit(request(1, max_tokens=100))
        context.gate.release()
        await anext(left.__aiter__())
        abandoned = engine.erase_slot(0)
        engine.stop()
        context.gate.release()
        with pytest.raises(EngineStopped):
            await asyncio.wrap_future(abandoned)

    with_engine(context, body)


def test_a_request_runs_in_the_slot_that_it_wants() -> None:
    """As soon as that is free, while others go past it."""
    context = FakeContext(n_slots=2, gate=threading.Semaphore(0), n_ctx=500)

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        first = engine.submit(GenerationRequest((1,), max_tokens=100, slot=1))
        context.gate.release()
        await anext(aiter(first))
        second = engine.submit(GenerationRequest((5,), max_tokens=1, slot=1))
        third = engine.submit(GenerationRequest((9,), max_tokens=1))
        context.gate.release(2)
        assert (await collect(third))[1].slot == 0
        assert [slot.occupant is not None for slot in engine.stats().slots] == [False, True]
        first.abort()
        context.gate.release(100)
        assert (await collect(second))[1].slot == 1
        with pytest.raises(UnknownSlot):
            engine.submit(GenerationRequest((1,), slot=2))

    with_engine(context, body)


# -- numbers --------------------------------------------------------------------------------------------------


def test_what_was_done_is_counted() -> None:
    context = FakeContext(n_ctx=200, n_slots=2)

    async def body(engine: Engine) -> None:
        await collect(engine.submit(request(1, 2, 3, max_tokens=3)))
        await collect(engine.submit(request(1, 2, 3, 9, max_tokens=2)))
        stats = engine.stats()
        assert (stats.running, stats.deferred, stats.cells) == (0, 0, 200)
        assert stats.cells_used == context.used()
        counters = stats.counters
        assert (counters.requests, counters.prefix_hits) == (2, 1)
        assert (counters.prompt_tokens, counters.cached_tokens, counters.generated_tokens) == (4, 3, 5)
        assert counters.batches == len(context.batches)
        assert [slot.occupant for slot in stats.slots] == [None, None]

    with_engine(context, body)


# -- what is told on the way ----------------------------------------------------------------------------------


def test_progress_is_told_where_it_is_wanted() -> None:
    async def body(engine: Engine) -> None:
        prompt = tuple(range(1, 41))
        wanted = GenerationRequest(prompt, max_tokens=2, reports_progress=True)
        told = [event for event in await events_of(engine.submit(wanted)) if isinstance(event, TokenEvent)]
        progress = [event.progress for event in told]
        assert [one.processed for one in progress if one] == [0, 16, 32, 40, 40, 40]
        assert [one.usage.generated_tokens for one in progress if one] == [0, 0, 0, 0, 1, 2]
        assert [event.tokens for event in told] == [(), (), (), (), (41,), (42,)]
        again = [event for event in await events_of(engine.submit(wanted)) if isinstance(event, TokenEvent)]
        first = again[0].progress
        assert first is not None
        assert (first.processed, first.usage.cached_tokens, first.usage.prompt_tokens) == (39, 39, 40)
        plain = await events_of(engine.submit(GenerationRequest(prompt, max_tokens=1)))
        assert [event.progress for event in plain if isinstance(event, TokenEvent)] == [None]

    with_engine(FakeContext(), body)


def test_slots_tell_what_runs_in_them() -> None:
    gate = threading.Semaphore(0)

    async def body(engine: Engine) -> None:
        assert [slot.occupant for slot in engine.stats().slots] == [None] * 4
        await collect_through(gate, engine.submit(request(1, max_tokens=1)))
        running = engine.submit(request(5, 6, 7, max_tokens=3))
        events = aiter(running)
        gate.release()
        await anext(events)
        (slot,) = [slot for slot in engine.stats().slots if slot.occupant]
        occupant = slot.occupant
        assert occupant is not None
        assert occupant.number == 1
        assert occupant.request.prompt == (5, 6, 7)
        assert occupant.progress.usage.generated_tokens == 1
        gate.release(10)
        *_, last = [event async for event in events]
        assert isinstance(last, FinishedEvent)
        assert last.slot == slot.slot

    with_engine(FakeContext(gate=gate), body)


async def collect_through(gate: threading.Semaphore, generation: Generation) -> None:
    gate.release()
    await collect(generation)
