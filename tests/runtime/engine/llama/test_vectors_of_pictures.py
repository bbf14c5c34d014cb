"""Vectors of texts with pictures: computed part by part, and pooled as if all of it had been computed at once."""

from __future__ import annotations

from array import array
from pathlib import Path

import msgspec
import pytest

from runtime.engine.backend import Vectors
from runtime.engine.engine import Engine
from runtime.engine.errors import CannotEmbedPieces, TextTooLong
from runtime.engine.llama import projector as projectors
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.projector import Projector
from runtime.engine.pieces import Piece, Prompt
from runtime.engine.settings import ContextSettings, Pooling, ProjectorSettings
from runtime.engine.types import EmbeddingRequest
from runtime.engine.weights import Weights
from support.architectures import WIDTH, Architecture, write_model
from support.engine_runs import collect
from support.pools import TEXT, load
from support.projectors import llava
from support.seeing import FAMILIES, open_backend, question, seeing_files, seen_by, text_of, texts_of, with_engine

SETTINGS = ContextSettings(1024, 4, 128, 128, 1)
POOLINGS: tuple[Pooling, ...] = ("none", "mean", "cls", "last")
CAUSAL = [one for one in Architecture if one is not Architecture.RERANKER]


class InParts(Prompt, frozen=True):
    """A text that is computed in several steps."""

    @property
    def parts(self) -> list[tuple[int, ...] | Piece]:
        return [self.tokens[:5], self.tokens[5:6], self.tokens[6:]]


@pytest.mark.parametrize("architecture", CAUSAL)
def test_a_text_in_parts_has_the_vectors_of_the_whole(architecture: Architecture, tmp_path: Path) -> None:
    path, text = write_model(tmp_path / "model", architecture), TEXT[:40]
    for pooling in POOLINGS:
        backend = LlamaBackend(load(path), msgspec.structs.replace(SETTINGS, pooling=pooling))
        (whole,) = backend.embedder().embed([text], ())
        assert_alike(backend.embedder().embed_parts(InParts(text), ()), whole)
        backend.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_pooling_is_over_pictures_too(family: str, tmp_path: Path) -> None:
    files = seeing_files(tmp_path, family)
    found: dict[Pooling, Vectors] = {}
    for pooling in POOLINGS:
        backend = pooling_by(pooling, files)
        text = of(backend, "Look: ", "red", " What is it?")
        found[pooling] = backend.embedder().embed_parts(text, ())
        assert_alike(backend.embedder().embed_parts(text, ()), found[pooling])
        backend.close()
    rows = found["none"]
    assert len(rows) == len(text.tokens)
    assert_alike(found["cls"], rows[:1])
    assert_alike(found["last"], rows[-1:])
    mean = array("f", (sum(column) / len(rows) for column in zip(*rows, strict=True)))
    assert_alike(found["mean"], (mean,))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_comes_after_a_picture_is_about_it(family: str, tmp_path: Path) -> None:
    backend = pooling_by("none", seeing_files(tmp_path, family))
    red, again, blue = (of(backend, "Look: ", one, " What is it?") for one in ("red", "red", "blue"))
    n_before = red.pieces[0].start
    n_after = len(red.tokens) - red.pieces[-1].end
    rows = [backend.embedder().embed_parts(one, ()) for one in (red, again, blue)]
    assert_alike(rows[1], rows[0])
    assert_alike(rows[2][:n_before], rows[0][:n_before])
    assert n_after > 0
    for one, other in zip(rows[0][-n_after:], rows[2][-n_after:], strict=True):
        assert one != other
    backend.close()


def test_a_picture_may_come_last_and_first(tmp_path: Path) -> None:
    backend = pooling_by("mean", seeing_files(tmp_path, "llava"))
    vectors = [backend.embedder().embed_parts(of(backend, *parts), ()) for parts in (("", "red"), ("", "red", "blue"))]
    assert vectors[0] != vectors[1]
    backend.close()


def test_streams_go_on_while_pictures_are_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projectors, "_SHORTEST_BREATH", 0.0)
    backend = open_backend(seeing_files(tmp_path, "llava"))
    stream = msgspec.structs.replace(question(backend, "Tell a long story of a file. "), max_tokens=60)
    texts = tuple(
        Prompt(one.prompt, one.pieces)
        for one in (question(backend, "Look: ", seen_by(backend, colour)) for colour in ("red", "blue", "red"))
    )

    async def body(engine: Engine) -> None:
        said = engine.submit(stream)
        embedded = await engine.embed(EmbeddingRequest(texts))
        together = (await collect(said))[0]
        assert [together] == await texts_of(engine, [msgspec.structs.replace(stream, reuse_prefix=False)])
        assert embedded.vectors[0] == embedded.vectors[2] != embedded.vectors[1]
        counters = engine.stats().counters
        assert (counters.encoded, counters.embedded_texts) == (2, 3)
        assert counters.embedded_tokens == sum(len(one.tokens) for one in texts)
        large = question(backend, *(seen_by(backend, "red") for _ in range(5)))
        with pytest.raises(TextTooLong):
            engine.embed(EmbeddingRequest((Prompt(large.prompt, large.pieces),)))

    with_engine(backend, body)


@pytest.mark.parametrize("pooling", ["mean", "rank"])
def test_who_sees_all_of_a_text_at_once_cannot_take_pictures(pooling: Pooling, tmp_path: Path) -> None:
    architecture = Architecture.RERANKER if pooling == "mean" else Architecture.ATTENTION
    model = load(write_model(tmp_path / "model", architecture))
    eyes = Projector(model, Weights(llava(tmp_path / "llava.gguf", WIDTH)), ProjectorSettings(), 1, None)
    backend = LlamaBackend(model, msgspec.structs.replace(SETTINGS, pooling=pooling), projector=eyes)

    async def body(engine: Engine) -> None:
        with pytest.raises(CannotEmbedPieces):
            engine.embed(EmbeddingRequest((of(backend, "Look: ", "red"),)))

    with_engine(backend, body)


def pooling_by(pooling: Pooling, projector_file: Path) -> LlamaBackend:
    return open_backend(projector_file, settings=msgspec.structs.replace(SETTINGS, pooling=pooling))


def of(backend: LlamaBackend, *parts: str) -> Prompt:
    """A text, a colour, a text and so on."""
    return text_of(backend, *(seen_by(backend, part) if i % 2 else part for i, part in enumerate(parts)))


def assert_alike(found: Vectors, expected: Vectors) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=2e-4)
