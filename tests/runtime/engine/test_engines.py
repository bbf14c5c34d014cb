"""Several engines in one process: over the fake backend with a worker between them, and llama.cpp's log beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import ContextFailed, EngineBroken, EngineStopped, ModelLoadFailed
from runtime.engine.facts import LayerSizes
from runtime.engine.jobs import Generation
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.loading import load_model
from runtime.engine.placement import Placement
from runtime.engine.settings import LoadSettings
from runtime.engine.types import FinishedEvent, GenerationRequest
from runtime.engine.weights import Weights
from runtime.engine.worker import Worker
from runtime.memory.layers import LayerCache
from runtime.models.sharing import Sized, check_room, choose_context, context_settings, share_memory
from runtime.settings import EngineSettings
from support.engine_runs import vectors_of
from support.fakes import FACTS, FakeContext, FakeEmbedder, FakeSampler

MIB = 2**20


def with_engines(body: Callable[..., Awaitable[None]], *contexts: FakeContext) -> None:
    """Run `body` with an engine for each context, then stop them and see that nothing is left."""

    async def main() -> None:
        worker = Worker()
        engines = [Engine(lambda context=context: context, worker=worker) for context in contexts]  # type: ignore[misc]
        for engine in engines:
            engine.start()
        await asyncio.gather(*(asyncio.wrap_future(engine.ready) for engine in engines))
        try:
            await asyncio.wait_for(body(*engines), 30)
        finally:
            for engine in engines:
                engine.stop()
            for context in contexts:
                if context.gate is not None:
                    context.gate.release(1000)
            for engine in engines:
                engine.join(10)
        assert all(context.closed for context in contexts)
        assert FakeSampler.live == 0

    asyncio.run(main())


async def text_of(generation: Generation) -> str:
    text = ""
    async for event in generation:
        text += event.text
        if isinstance(event, FinishedEvent):
            return text
    raise AssertionError("no FinishedEvent")


def counting(first: int, n: int) -> GenerationRequest:
    return GenerationRequest((first,), n)


def test_each_answers_its_own() -> None:
    async def body(one: Engine, other: Engine) -> None:
        texts = await asyncio.gather(
            text_of(one.submit(counting(1, 40))),
            text_of(other.submit(counting(101, 40))),
            text_of(one.submit(counting(201, 40))),
        )
        for text, first in zip(texts, (1, 101, 201), strict=True):
            assert text == "".join(f"{first + i} " for i in range(1, 41))
        assert (await other.embed(vectors_of((1, 2)))).pooling == "mean"

    with_engines(body, FakeContext(), FakeContext())


def test_one_thread_computes_for_all() -> None:
    threads: set[int] = set()

    class Watched(FakeContext):
        def decode(self, *arguments: Any) -> Any:
            threads.add(threading.get_ident())
            return super().decode(*arguments)

    async def body(*engines: Engine) -> None:
        await asyncio.gather(*(text_of(engine.submit(counting(1, 9))) for engine in engines))

    with_engines(body, Watched(), Watched(), Watched())
    assert len(threads) == 1


def test_one_that_stops_leaves_the_others_running() -> None:
    async def body(one: Engine, other: Engine) -> None:
        running = one.submit(counting(1, 50))
        one.stop()
        with pytest.raises(EngineStopped):
            await text_of(running)
        await asyncio.wrap_future(one.finished)
        assert await text_of(other.submit(counting(1, 3))) == "2 3 4 "

    with_engines(body, FakeContext(), FakeContext())


def test_a_bug_in_one_leaves_the_others_running() -> None:
    class Buggy(FakeContext):
        def decode(self, *_arguments: Any) -> Any:
            raise ZeroDivisionError

    async def body(one: Engine, other: Engine) -> None:
        with pytest.raises(EngineBroken):
            await text_of(one.submit(counting(1, 5)))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wrap_future(one.finished)
        assert await text_of(other.submit(counting(1, 3))) == "2 3 4 "

    with_engines(body, Buggy(), FakeContext())


def test_a_long_prompt_is_computed_in_parts_while_another_model_streams() -> None:
    """16 tokens at once where it is alone, a micro-batch of 8 where another has work."""
    gate = threading.Semaphore(0)
    streaming, reading = FakeContext(gate=gate), FakeContext()

    async def body(stream: Engine, reader: Engine) -> None:
        streamed = stream.submit(counting(1, 30))
        prompt = GenerationRequest(tuple(range(1, 41)), 1)
        read = reader.submit(prompt)
        gate.release(1000)
        await asyncio.gather(text_of(streamed), text_of(read))
        assert await text_of(reader.submit(GenerationRequest(tuple(range(300, 340)), 1)))

    with_engines(body, streaming, reading)
    sizes = [sum(len(item.tokens) for item in batch) for batch in reading.batches]
    assert sizes[0] == 8
    assert 16 in sizes, "alone it is not held back"


def test_few_texts_are_embedded_at_once_while_another_model_streams() -> None:
    """128 tokens at once, and 512 where it is alone."""
    gate = threading.Semaphore(0)
    streaming = FakeContext(gate=gate)
    embedding = FakeContext(generates=False, texts=FakeEmbedder(100, 1000))
    texts = vectors_of(*((1,) * 32 for _ in range(20)))

    async def body(stream: Engine, embedder: Engine) -> None:
        streamed, embedded = stream.submit(counting(1, 90)), embedder.embed(texts)
        gate.release(1000)
        await asyncio.gather(text_of(streamed), embedded)
        embedding.texts.batches.append([])
        await embedder.embed(texts)

    with_engines(body, streaming, embedding)
    sizes = [len(batch) for batch in embedding.texts.batches]
    assert sizes[0] == 4
    assert sizes[sizes.index(0) + 1 :] == [16, 4]


A_KIBIBYTE = LayerSizes((0,), 0, (LayerCache(256, 256, None, 0),), 0, 0)
"""Of cache, for each token."""


def test_what_is_free_is_divided_among_those_that_keep_a_cache() -> None:
    facts = msgspec.structs.replace(FACTS, n_ctx_train=10**6)
    free = share_memory(4096 * MIB, [1024 * MIB, 1024 * MIB], 2)
    assert free == 1024 * MIB
    assert choose_context(EngineSettings(), Sized(facts, A_KIBIBYTE), None, free) == 512 * 1024
    repacked = Sized(msgspec.structs.replace(facts, repacked=512 * MIB), A_KIBIBYTE)
    assert choose_context(EngineSettings(), repacked, None, free) == 256 * 1024


def test_what_a_draft_model_keeps_counts_as_much() -> None:
    model = Sized(msgspec.structs.replace(FACTS, n_ctx_train=10**6), A_KIBIBYTE)
    smaller = LayerSizes((0,), 0, (LayerCache(64, 64, None, 0),), 0, 0)
    n_ctx = choose_context(EngineSettings(), model, Sized(FACTS, smaller), 1024 * MIB)
    assert n_ctx == 512 * 1024 * 4 // 5 // 256 * 256


@pytest.mark.parametrize("free", [0, 1, 512 * 1024])
def test_little_memory_still_gives_a_context(free: int) -> None:
    facts = msgspec.structs.replace(FACTS, n_ctx_train=4096)
    shorter = msgspec.structs.replace(facts, n_ctx_train=100)
    assert choose_context(EngineSettings(), Sized(facts, A_KIBIBYTE), None, free) == 512
    assert choose_context(EngineSettings(), Sized(shorter, A_KIBIBYTE), None, free) == 100


def test_what_is_asked_for_must_fit_into_what_is_available() -> None:
    """Half of that may be wanted by others, and yet be asked for; more than all of it is refused before it is taken."""
    model, draft = Sized(FACTS, A_KIBIBYTE), Sized(FACTS, LayerSizes((0,), 0, (LayerCache(64, 64, None, 0),), 0, 0))
    settings = EngineSettings(n_ctx=1024, beyond_training=True)
    context = context_settings(settings, model, None, Placement(), 0)
    check_room(settings, context, model, None, MIB)
    with pytest.raises(ContextFailed, match=r"1,024 tokens: it needs 0\.0 GB, and 0\.0 GB are free") as told:
        check_room(settings, context, model, draft, MIB)
    assert (told.value.needs, told.value.free) == (MIB * 5 // 4, MIB)
    check_room(msgspec.structs.replace(settings, n_ctx=None), context, model, draft, MIB)


def test_weights_beyond_the_memory_leave_nothing() -> None:
    assert share_memory(10, [8, 8], 0) == 0


def test_what_llama_cpp_says_belongs_to_the_thread_it_said_it_in(demo_gguf: Path, tmp_path: Path) -> None:
    """While one model is being loaded, another thread loads what is none: the reason is that one's alone."""
    _lib, logs = import_binding()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    reasons: list[str] = []

    def fail() -> None:
        with pytest.raises(ModelLoadFailed) as caught:
            load_model(Weights(broken), LoadSettings(), threading.Event())
        reasons.append(caught.value.reason)

    load_model(Weights(demo_gguf), LoadSettings(), threading.Event()).close()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join(30)
    assert reasons
    assert reasons[0]
    assert logs.last_error() == ""
