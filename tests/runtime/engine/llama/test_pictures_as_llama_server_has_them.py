"""What is said of pictures is what a llama-server of the same sources has said of them, and so are their vectors
(`scripts/compare`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.settings import ContextSettings
from runtime.engine.types import GenerationRequest
from runtime.media.decoding import decode
from runtime.server.vectors import normalized
from support.seeing import FAMILIES, open_backend, question, seeing_files, text_of, texts_of, with_engine
from support.shown import PROMPTS, file_of, recorded, recorded_vectors


@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_what_llama_server_says(family: str, tmp_path: Path) -> None:
    backend = open_backend(seeing_files(tmp_path, family))
    projector = backend.projector
    assert projector is not None
    asked: dict[str, GenerationRequest] = {}
    for name, parts in PROMPTS.items():
        seen = [part if isinstance(part, str) else projector.see(decode(name, file_of(part))) for part in parts]
        asked[name] = question(backend, *seen)

    async def body(engine: Engine) -> None:
        said = dict(zip(asked, await texts_of(engine, asked.values()), strict=True))
        expected = recorded()[family]
        assert {name: text[: len(expected[name])] for name, text in said.items()} == expected

    with_engine(backend, body)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_has_the_vectors_that_llama_server_has(family: str, tmp_path: Path) -> None:
    settings = ContextSettings(1024, 4, 256, 256, 1, pooling="last")
    backend = open_backend(seeing_files(tmp_path, family), settings=settings)
    projector = backend.projector
    assert projector is not None
    for name, parts in PROMPTS.items():
        seen = [part if isinstance(part, str) else projector.see(decode(name, file_of(part))) for part in parts]
        (vector,) = backend.embedder().embed_parts(text_of(backend, *seen), ())
        expected = recorded_vectors()[family][name]
        assert normalized(vector, 2)[: len(expected)].tolist() == pytest.approx(expected, abs=5e-3)
    backend.close()
