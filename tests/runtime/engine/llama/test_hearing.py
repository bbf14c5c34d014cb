"""Sounds through llama.cpp's own parts: as libmtmd itself has them, listened to once, and part of what is computed."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from runtime.engine.backend import Samples
from runtime.engine.engine import Engine
from runtime.engine.errors import PromptTooLong
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.mtmd import import_mtmd
from runtime.engine.pieces import Piece, Seen
from runtime.media.decoding import decode, digest_of
from runtime.media.sounds import decode_sound
from support.bundles import DEMO_GGUF
from support.hearing_projectors import CELLS_OF_HALF_A_MINUTE, qwen, seeing_too, ultravox
from support.pictures import png
from support.seeing import MODEL, anew, open_backend, question, texts_of, with_engine
from support.senses import said_greedily
from support.sounds import silence, tone, wav, written

FAMILIES = {"ultravox": ultravox, "qwen": qwen, "seeing too": seeing_too}
TEXT, MORE = "Listen: ", " What is it?"


@pytest.fixture(scope="module", params=FAMILIES)
def projector_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hearing")
    (folder / MODEL).symlink_to(DEMO_GGUF)
    return FAMILIES[request.param](folder / "projector.gguf", 192)


@pytest.fixture
def stacking(tmp_path: Path) -> Path:
    """Of the family with the fewest cells."""
    (tmp_path / MODEL).symlink_to(DEMO_GGUF)
    return ultravox(tmp_path / "projector.gguf", 192)


def heard_by(backend: LlamaBackend, data: bytes) -> Seen:
    assert backend.projector is not None
    return backend.projector.hear(decode_sound("f", data, backend.projector.sample_rate))


def said_by_mtmd(backend: LlamaBackend, file: bytes, n: int) -> str:
    """The greedy continuation of a sound between two texts; the file is decoded by libmtmd, too."""
    mtmd, projector, context = import_mtmd(), backend.projector, backend._context
    assert projector is not None
    assert context is not None
    marker = mtmd.mtmd_default_marker()
    text = TEXT.encode() + marker + MORE.encode()
    given = mtmd.mtmd_input_text(text, len(text), True, True)
    data = (ctypes.c_uint8 * len(file)).from_buffer_copy(file)
    bitmap = mtmd.mtmd_helper_bitmap_init_from_buf(projector.handle, data, len(file), False)
    chunks = mtmd.mtmd_input_chunks_init()
    array = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
    assert mtmd.mtmd_tokenize(projector.handle, chunks, ctypes.byref(given), array, 1) == 0
    lib: Any = backend.model.lib
    place, handle = lib.llama_pos(0), context._handle
    assert mtmd.mtmd_helper_eval_chunks(projector.handle, handle, chunks, 0, 0, 64, True, ctypes.byref(place)) == 0
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_bitmap_free(bitmap)
    return said_greedily(backend, context, place.value, n)


@pytest.mark.parametrize("seconds", [0.2, 2.0], ids=["short", "longer"])
def test_it_is_said_as_libmtmd_says_it(projector_file: Path, seconds: float) -> None:
    file = wav(seconds=seconds)
    reference = open_backend(projector_file)
    expected = said_by_mtmd(reference, file, 12)
    reference.close()
    backend = open_backend(projector_file)
    asked = question(backend, TEXT, heard_by(backend, file), MORE)

    async def body(engine: Engine) -> None:
        assert (await texts_of(engine, [asked]))[0].startswith(expected.rstrip("\ufffd"))

    with_engine(backend, body)


def test_a_sound_is_listened_to_once_and_matters(projector_file: Path) -> None:
    backend = open_backend(projector_file)
    low, high = heard_by(backend, wav(300)), heard_by(backend, wav(3000))
    assert heard_by(backend, wav(300)) is low
    asked = [question(backend, TEXT, one, MORE) for one in (low, high, low)]

    async def body(engine: Engine) -> None:
        texts = await texts_of(engine, asked)
        assert texts[0] == texts[2] != texts[1]
        counters = engine.stats().counters
        assert counters.encoded == 2
        assert counters.cached_tokens >= sum(len(one.tokens) for one in low if isinstance(one, Piece))

    with_engine(backend, body)


def test_going_on_from_a_sound_is_computing_it_anew(stacking: Path) -> None:
    backend = open_backend(stacking)
    begin = (TEXT * 5, heard_by(backend, wav(300)))
    asked = [
        question(backend, *begin, MORE),
        question(backend, *begin, " Which is louder, and why?"),
        question(backend, *begin, " and ", heard_by(backend, wav(3000)), MORE),
    ]

    async def body(engine: Engine) -> None:
        assert await texts_of(engine, asked) == await texts_of(engine, anew(asked))
        assert engine.stats().counters.encoded == 2

    with_engine(backend, body)


def test_half_a_minute_each_is_a_piece_and_what_is_cut_off_is_shared(stacking: Path) -> None:
    backend = open_backend(stacking)
    pieces = [one for one in heard_by(backend, written(tone(35))) if isinstance(one, Piece)]
    assert [len(one.tokens) for one in pieces] == [CELLS_OF_HALF_A_MINUTE] * 2
    assert pieces[0].tokens != pieces[1].tokens
    backend.close()


def test_what_cannot_fit_is_told_before_anything_is_made_of_it(stacking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,024 tokens of context, and 75 for each half a minute."""
    backend = open_backend(stacking)
    assert backend.projector is not None
    fits, does_not = (Samples(bytes([i]) * 32, silence(seconds).tobytes()) for i, seconds in enumerate((390, 450)))
    assert backend.projector.hear(fits)
    monkeypatch.setattr(backend.projector, "_once", lambda *_: pytest.fail("it was listened to"))
    with pytest.raises(PromptTooLong) as caught:
        backend.projector.hear(does_not)
    assert (caught.value.n_prompt, caught.value.n_ctx) == (15 * CELLS_OF_HALF_A_MINUTE, 1024)
    backend.close()


def test_two_sounds_and_a_picture_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / MODEL).symlink_to(DEMO_GGUF)
    backend = open_backend(seeing_too(tmp_path / "both.gguf", 192))
    assert backend.projector is not None
    seen = backend.projector.see(decode("f", png()))
    low, high = heard_by(backend, wav(300)), heard_by(backend, wav(3000))
    asked = [
        question(backend, TEXT, low, " and ", seen, " and ", high, MORE),
        question(backend, TEXT, high, " and ", seen, " and ", low, MORE),
    ]

    async def body(engine: Engine) -> None:
        assert await texts_of(engine, asked) == await texts_of(engine, anew(asked))

    assert "sees pictures and hears sounds" in backend.projector.line
    with_engine(backend, body)


@pytest.mark.parametrize("n_samples", [1, 2, 160, 399, 400, 401])
def test_the_shortest_sounds_end_no_process(projector_file: Path, n_samples: int) -> None:
    backend = open_backend(projector_file)
    assert backend.projector is not None
    data = silence(n_samples / 16_000).tobytes()
    assert backend.projector.hear(Samples(digest_of(data), data))
    backend.close()
