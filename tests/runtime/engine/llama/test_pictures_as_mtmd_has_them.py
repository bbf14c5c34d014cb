"""Prompts with pictures as libmtmd itself computes them, which is llama-server's way: token for token the same."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from runtime.engine.backend import Pixels
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.mtmd import import_mtmd
from runtime.engine.pieces import Piece
from runtime.media.decoding import decode
from support.pictures import drawn, png, written
from support.seeing import FAMILIES, open_backend, question, seeing_files, texts_of, with_engine
from support.senses import said_greedily

TEXT, MORE = "Look: ", " What is it?"


@pytest.fixture(scope="module", params=FAMILIES)
def projector_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeing_files(tmp_path_factory.mktemp("projectors"), request.param)


def said_by_mtmd(backend: LlamaBackend, pictures: list[Pixels], n: int) -> str:
    """The greedy continuation of pictures with texts around them."""
    mtmd, projector, context = import_mtmd(), backend.projector, backend._context
    assert projector is not None
    assert context is not None
    marker = mtmd.mtmd_default_marker()
    text = marker.join([TEXT.encode()] * len(pictures) + [MORE.encode()])
    given = mtmd.mtmd_input_text(text, len(text), True, True)
    buffers = [(ctypes.c_uint8 * len(one.data)).from_buffer_copy(one.data) for one in pictures]
    bitmaps = [
        mtmd.mtmd_bitmap_init(one.width, one.height, buffer) for one, buffer in zip(pictures, buffers, strict=True)
    ]
    chunks = mtmd.mtmd_input_chunks_init()
    array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
    assert mtmd.mtmd_tokenize(projector.handle, chunks, ctypes.byref(given), array, len(bitmaps)) == 0
    lib: Any = backend.model.lib
    place = lib.llama_pos(0)
    handle = context._handle
    assert mtmd.mtmd_helper_eval_chunks(projector.handle, handle, chunks, 0, 0, 64, True, ctypes.byref(place)) == 0
    mtmd.mtmd_input_chunks_free(chunks)
    for bitmap in bitmaps:
        mtmd.mtmd_bitmap_free(bitmap)
    return said_greedily(backend, context, place.value, n)


@pytest.mark.parametrize("sizes", [[(96, 64)], [(40, 120)], [(96, 64), (32, 32)]], ids=["wide", "tall", "two"])
def test_it_is_said_as_libmtmd_says_it(projector_file: Path, sizes: list[tuple[int, int]]) -> None:
    pictures = [decode("f", written(drawn("red", size))) for size in sizes]
    reference = open_backend(projector_file)
    expected = said_by_mtmd(reference, pictures, 12)
    reference.close()
    backend = open_backend(projector_file)
    assert backend.projector is not None
    parts: list[Any] = []
    for one in pictures:
        parts += [TEXT, backend.projector.see(one)]
    asked = question(backend, *parts, MORE)

    async def body(engine: Engine) -> None:
        assert (await texts_of(engine, [asked]))[0].startswith(expected.rstrip("\ufffd"))

    with_engine(backend, body)


def test_one_family_has_fewer_positions_than_cells(tmp_path: Path) -> None:
    backend = open_backend(seeing_files(tmp_path, "qwen"))
    assert backend.projector is not None
    (piece,) = (one for one in backend.projector.see(decode("f", png())) if isinstance(one, Piece))
    assert backend.model.facts.skips_positions
    assert (len(piece.tokens), piece.skipped) == (24, 18), "6 x 4 cells, and as many places as the longer side has"
    backend.close()
