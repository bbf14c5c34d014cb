"""What is said of pictures is what a llama-server of the same sources has said of them (`scripts/compare`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.types import GenerationRequest
from runtime.media.decoding import decode
from support.seeing import FAMILIES, open_backend, question, seeing_files, texts_of, with_engine
from support.shown import PROMPTS, file_of, recorded


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
