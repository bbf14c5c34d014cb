"""Pictures through llama.cpp's own parts: looked at once, part of what is computed already, and the same either way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.engine.engine import Engine
from runtime.engine.errors import PictureTooLarge, ProjectorFailed
from runtime.engine.llama import projector
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.pieces import Piece
from runtime.engine.settings import LoadSettings, ProjectorSettings
from runtime.engine.types import GenerationRequest
from runtime.engine.weights import Weights
from runtime.media.decoding import decode
from support.bundles import DEMO_GGUF
from support.engine_runs import collect
from support.pictures import png
from support.projectors import gemma, llava
from support.seeing import (
    FAMILIES,
    MODEL,
    anew,
    open_backend,
    pieces_of,
    question,
    seeing_files,
    seen_by,
    texts_of,
    with_engine,
)


@pytest.fixture(scope="module", params=FAMILIES)
def projector_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeing_files(tmp_path_factory.mktemp("projectors"), request.param)


def test_a_picture_is_looked_at_once_and_matters(projector_file: Path) -> None:
    backend = open_backend(projector_file)
    red, blue = seen_by(backend, "red"), seen_by(backend, "blue")
    assert seen_by(backend, "red") is red
    asked = [question(backend, "Look: ", one, " What is it?") for one in (red, blue, red)]

    async def body(engine: Engine) -> None:
        texts = await texts_of(engine, asked)
        assert texts[0] == texts[2] != texts[1]
        assert engine.stats().counters.encoded == pieces_of(red) + pieces_of(blue)
        _text, finished = await collect(engine.submit(asked[0]))
        assert finished.usage.prompt_tokens == len(asked[0].prompt)

    with_engine(backend, body)


def test_going_on_from_pictures_is_computing_them_anew(projector_file: Path) -> None:
    """From one picture, from the first of two, and from two with words between."""
    backend = open_backend(projector_file)
    red, blue = seen_by(backend, "red"), seen_by(backend, "blue")
    begin = ("See what there is on this page. " * 3, red)
    asked = [
        question(backend, *begin, "What is it?"),
        question(backend, *begin, "Which colour has it, and why?"),
        question(backend, *begin, " and ", blue, "Which is larger?"),
        question(backend, *begin, " and ", blue, "Which is the first?"),
        question(backend, *begin, " and ", red, "Which is the first?"),
    ]

    async def body(engine: Engine) -> None:
        shared = await texts_of(engine, asked)
        assert engine.stats().counters.encoded == pieces_of(red) + pieces_of(blue)
        assert engine.stats().counters.cached_tokens > 100
        assert shared == await texts_of(engine, anew(asked))

    with_engine(backend, body)


def test_many_at_once_are_each_answered_as_alone(projector_file: Path) -> None:
    backend = open_backend(projector_file)
    colours = ("red", "blue", "green", "orange")
    seen = [seen_by(backend, one) for one in colours]
    asked = [question(backend, "Look at this: ", one, " What is it?") for one in seen]

    async def body(engine: Engine) -> None:
        generations = [engine.submit(request) for request in asked * 3]
        together = [(await collect(one))[0] for one in generations]
        assert engine.stats().counters.encoded == sum(map(pieces_of, seen))
        assert together == await texts_of(engine, anew(asked)) * 3

    with_engine(backend, body)


def test_a_projector_is_read_where_it_lies_in_a_larger_file(projector_file: Path, tmp_path: Path) -> None:
    (tmp_path / MODEL).symlink_to(projector_file.with_name(MODEL))
    inside = tmp_path / "whole"
    inside.write_bytes(b"\0" * 65536 + projector_file.read_bytes())
    said: list[str] = []
    for backend in (open_backend(projector_file), open_backend(inside, 65536)):
        asked = question(backend, "Look: ", seen_by(backend, "red"), " What is it?")

        async def body(engine: Engine, asked: GenerationRequest = asked) -> None:
            said.extend(await texts_of(engine, [asked]))

        with_engine(backend, body)
    assert said[0] == said[1]


def test_what_is_no_projector_is_refused(tmp_path: Path) -> None:
    other = llava(tmp_path / "other.gguf", 64)
    (tmp_path / MODEL).symlink_to(DEMO_GGUF)
    none = tmp_path / "none.gguf"
    none.symlink_to(DEMO_GGUF)
    for file in (none, other):
        with pytest.raises(ProjectorFailed, match=str(file.name)):
            open_backend(file)


def test_a_family_that_looks_at_once_says_what_must_fit(tmp_path: Path) -> None:
    model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
    causal = Projector(model, Weights(llava(tmp_path / "l.gguf", 192)), ProjectorSettings(), 1, None)
    at_once = Projector(model, Weights(gemma(tmp_path / "g.gguf", 192)), ProjectorSettings(), 1, None)
    assert (causal.fits, at_once.fits > 0) == (0, True)
    at_once.fits = 1
    with pytest.raises(PictureTooLarge):
        at_once.see(decode("f", png()))
    for one in (causal, at_once):
        one.close()
    model.close()


def test_others_go_on_while_a_picture_is_looked_at(projector_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "_SHORTEST_BREATH", 0.0)
    backend = open_backend(projector_file)
    stream = msgspec.structs.replace(question(backend, "Tell a long story of a file. "), max_tokens=60)
    asked = [question(backend, "Look: ", seen_by(backend, one), " What is it?") for one in ("red", "blue")]

    async def body(engine: Engine) -> None:
        generations = [engine.submit(request) for request in (stream, *asked)]
        together = [(await collect(one))[0] for one in generations]
        assert together == await texts_of(engine, anew([stream, *asked]))

    with_engine(backend, body)


def test_looking_is_interrupted_and_given_up(projector_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector, "_SHORTEST_BREATH", 0.0)
    backend = open_backend(projector_file)
    assert backend.projector is not None
    piece = next(one for one in seen_by(backend, "red") if isinstance(one, Piece))
    calls: list[int] = []

    def fails() -> bool:
        raise KeyError("meanwhile")

    assert not backend.projector.encode(piece, lambda: bool(calls.append(1)))
    assert (len(calls), backend.projector.is_encoded(piece)) == (1, False)
    with pytest.raises(KeyError):
        backend.projector.encode(piece, fails)
    assert not backend.projector.is_encoded(piece)
    assert backend.projector.encode(piece, lambda: not calls.append(1))
    assert len(calls) > 2, "it was come back to more than once"
    assert backend.projector.is_encoded(piece)
    backend.close()


def test_others_go_on_while_a_large_picture_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """256 cells, and 64 in a micro-batch; half as many where streams wait."""
    monkeypatch.setattr(projector, "_SHORTEST_BREATH", 0.0)
    at_once: list[int] = []
    decode = Projector.decode

    def noted(self: Projector, *given: Any) -> int:
        at_once.append(given[4])
        return decode(self, *given)

    monkeypatch.setattr(Projector, "decode", noted)
    backend = open_backend(seeing_files(tmp_path, "llava", side=128))
    stream = msgspec.structs.replace(question(backend, "Tell a long story of a file. "), max_tokens=60)
    asked = [question(backend, "Look: ", seen_by(backend, one), " What is it?") for one in ("red", "blue")]
    assert len(asked[0].prompt) > 256

    async def body(engine: Engine) -> None:
        generations = [engine.submit(request) for request in (stream, *asked)]
        together = [(await collect(one))[0] for one in generations]
        assert set(at_once) == {32}
        at_once.clear()
        assert together == await texts_of(engine, anew([stream, *asked]))
        assert set(at_once) == {64}

    with_engine(backend, body)
