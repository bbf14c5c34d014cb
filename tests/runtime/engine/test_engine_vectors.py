"""Texts to embed, with pictures and without, over the fake backend: computed together, beside generations, and dropped
when nobody waits."""

from __future__ import annotations

import asyncio
import threading
from array import array
from collections.abc import Callable

import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import CannotEmbedPieces, CannotGenerate, DecodeFailed, EmptyPrompt, TextTooLong
from runtime.engine.pieces import Piece, PlacedPiece, Prompt, piece_tokens
from runtime.engine.types import EmbeddingRequest
from support.engine_runs import collect, request, vectors_of, with_engine
from support.fakes import FakeContext, FakeEmbedder, FakeProjector


def test_texts_of_all_requests_are_computed_together() -> None:
    context = FakeContext(gate=threading.Semaphore(0))

    async def body(engine: Engine) -> None:
        many = engine.embed(vectors_of(*((n, n) for n in range(1, 10))))
        few = engine.embed(vectors_of((50, 1)))
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
        vectors = engine.embed(vectors_of(*((n,) for n in range(100, 140))))
        (got, _last), computed = await asyncio.gather(text, vectors)
        assert got == "".join(f"{n} " for n in range(2, 32))
        assert len(computed.vectors) == 40

    with_engine(context, body)


def test_a_text_that_is_too_long_is_refused_and_the_others_are_not() -> None:
    async def body(engine: Engine) -> None:
        short = engine.embed(vectors_of((1,)))
        with pytest.raises(TextTooLong) as caught:
            engine.embed(vectors_of((1,), tuple(range(17))))
        assert (caught.value.n_text, caught.value.limit) == (17, 16)
        assert (await short).pooling == "mean"
        with pytest.raises(EmptyPrompt):
            engine.embed(vectors_of((1,), ()))

    with_engine(FakeContext(), body)


def test_an_encoder_embeds_and_does_not_generate() -> None:
    context = FakeContext(generates=False, texts=FakeEmbedder(2, 8))

    async def body(engine: Engine) -> None:
        with pytest.raises(CannotGenerate):
            engine.submit(request(1))
        with pytest.raises(CannotGenerate):
            engine.erase_slot(0)
        assert (await engine.embed(vectors_of((1, 2)))).vectors == ((array("f", [2, 3]),),)
        assert engine.stats().slots == ()

    with_engine(context, body)


def test_embeddings_that_nobody_waits_for_are_dropped() -> None:
    context = FakeContext(gate=threading.Semaphore(0), n_ctx=500)

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        running = engine.submit(request(1, max_tokens=3))
        left = engine.embed(vectors_of(*((n,) for n in range(1, 100))))
        left.abort()
        context.gate.release(1000)
        await collect(running)
        assert sum(map(len, context.texts.batches)) < 99

    with_engine(context, body)


def pictured(piece: Piece) -> Prompt:
    return Prompt((1, *piece.tokens, 2), (PlacedPiece(1, piece),))


def picture(name: bytes) -> Piece:
    return Piece(piece_tokens(name * 32, 3, 3), None)


def test_pictures_are_looked_at_once_and_their_texts_come_in_order() -> None:
    eyes, red, blue = FakeProjector(), picture(b"r"), picture(b"b")
    context = FakeContext(projector=eyes)

    async def body(engine: Engine) -> None:
        texts = (Prompt((1, 2)), pictured(red), Prompt((3,)), Prompt((4,)), pictured(blue), pictured(red))
        embedded, alone = engine.embed(EmbeddingRequest(texts)), engine.embed(vectors_of((50, 1)))
        expected = tuple((array("f", [len(one.tokens), sum(one.tokens)]),) for one in texts)
        assert (await alone).vectors == ((array("f", [2, 51]),),)
        assert (await embedded).vectors == expected
        assert eyes.encoded == [red, blue]
        counters = engine.stats().counters
        assert (counters.encoded, counters.embedded_texts) == (2, 7)

    with_engine(context, body)


def test_streams_get_their_tokens_while_a_picture_is_looked_at() -> None:
    eyes = FakeProjector(steps=20)
    context = FakeContext(n_ctx=500, projector=eyes, gate=threading.Semaphore(1))

    async def body(engine: Engine) -> None:
        assert context.gate is not None
        stream = engine.submit(request(1, max_tokens=300))
        async for _first in stream:
            break
        embedding = engine.embed(EmbeddingRequest((pictured(picture(b"r")),)))
        before = len(context.batches)
        context.gate.release(1000)
        await embedding
        assert len(context.batches) - before >= 20
        assert (await collect(stream))[0].endswith("301 ")

    with_engine(context, body)


async def left_while_looking(engine: Engine, eyes: FakeProjector) -> None:
    """Ask for the vector of a picture, and leave while it is looked at."""
    embedded = engine.embed(EmbeddingRequest((pictured(picture(b"r")),)))
    while not eyes.looks:
        await asyncio.sleep(0)
    embedded.abort()


def test_looking_ends_when_nobody_waits_for_it() -> None:
    eyes = FakeProjector(steps=None)
    context = FakeContext(projector=eyes)

    async def body(engine: Engine) -> None:
        await left_while_looking(engine, eyes)
        assert (await engine.embed(vectors_of((1,)))).vectors == ((array("f", [1, 1]),),)
        assert eyes.encoded == []

    with_engine(context, body)


def test_the_model_is_not_unloaded_while_it_looks() -> None:
    was_closed: list[bool] = []

    class Watched(FakeProjector):
        def encode(self, piece: Piece, meanwhile: Callable[[], bool]) -> bool:
            done = super().encode(piece, meanwhile)
            was_closed.append(context.closed)
            return done

    eyes = Watched(steps=None)
    context = FakeContext(projector=eyes)

    async def body(engine: Engine) -> None:
        await left_while_looking(engine, eyes)
        assert engine.sleep()
        await asyncio.wrap_future(engine.in_worker(lambda: None))
        assert (was_closed, context.closed) == ([False], True)

    with_engine(context, body)


def test_what_fails_while_a_picture_is_looked_at_fails_for_whom_it_is() -> None:
    context = FakeContext(projector=FakeProjector(fails=True))

    async def body(engine: Engine) -> None:
        embedded, alone = engine.embed(EmbeddingRequest((pictured(picture(b"r")),))), engine.embed(vectors_of((1,)))
        assert (await alone).pooling == "mean"
        with pytest.raises(DecodeFailed):
            await embedded

    with_engine(context, body)


def test_a_model_that_takes_no_pictures_says_so() -> None:
    async def body(engine: Engine) -> None:
        with pytest.raises(CannotEmbedPieces):
            engine.embed(EmbeddingRequest((Prompt((1,)), pictured(picture(b"r")))))

    with_engine(FakeContext(), body)
