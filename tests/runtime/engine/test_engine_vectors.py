"""Texts to embed, over the fake backend: computed together, beside generations, and dropped when nobody waits."""

from __future__ import annotations

import asyncio
import threading
from array import array

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import CannotGenerate, EmptyPrompt, TextTooLong
from runtime.engine.types import EmbeddingRequest
from support.engine_runs import collect, request, with_engine
from support.fakes import FakeContext, FakeEmbedder


def test_texts_of_all_requests_are_computed_together() -> None:
    context = FakeContext(gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        many = engine.embed(EmbeddingRequest(tuple((n, n) for n in range(1, 10))))
        few = engine.embed(EmbeddingRequest(((50, 1),)))
        assert (await few).vectors == ((array("f", [2, 51]),),)
        assert (await many).vectors == tuple((array("f", [2, 2 * n]),) for n in range(1, 10))
        assert len(context.texts.batches) == 3, "ten texts, four at a time"
        stats = engine.stats()
        assert (stats.counters.embedded_texts, stats.counters.embedded_tokens) == (10, 20)

    with_engine(context, body)


def test_texts_and_generations_take_turns() -> None:
    context = FakeContext(n_ctx=500)

    async def body(engine: Engine) -> None:
        text = collect(engine.submit(request(1, max_tokens=30)))
        vectors = engine.embed(EmbeddingRequest(tuple((n,) for n in range(100, 140))))
        (got, _last), computed = await asyncio.gather(text, vectors)
        assert got == "".join(f"{n} " for n in range(2, 32))
        assert len(computed.vectors) == 40

    with_engine(context, body)


def test_a_text_that_is_too_long_is_refused_and_the_others_are_not() -> None:
    async def body(engine: Engine) -> None:
        short = engine.embed(EmbeddingRequest(((1,),)))
        with pytest.raises(TextTooLong) as caught:
            engine.embed(EmbeddingRequest(((1,), tuple(range(17)))))
        assert (caught.value.n_text, caught.value.limit) == (17, 16)
        assert (await short).pooling == "mean"
        with pytest.raises(EmptyPrompt):
            engine.embed(EmbeddingRequest(((1,), ())))

    with_engine(FakeContext(), body)


def test_an_encoder_embeds_and_does_not_generate() -> None:
    context = FakeContext(generates=False, texts=FakeEmbedder(2, 8))

    async def body(engine: Engine) -> None:
        with pytest.raises(CannotGenerate):
            engine.submit(request(1))
        with pytest.raises(CannotGenerate):
            engine.erase_slot(0)
        assert (await engine.embed(EmbeddingRequest(((1, 2),)))).vectors == ((array("f", [2, 3]),),)
        assert engine.stats().slots == ()

    with_engine(context, body)


def test_embeddings_that_nobody_waits_for_are_dropped() -> None:
    context = FakeContext(gate=threading.Semaphore(0), n_ctx=500)

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        running = engine.submit(request(1, max_tokens=3))
        left = engine.embed(EmbeddingRequest(tuple((n,) for n in range(1, 100))))
        left.abort()
        context.gate.release(1000)
        await collect(running)
        assert sum(map(len, context.texts.batches)) < 99

    with_engine(context, body)
