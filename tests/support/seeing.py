"""A real model that sees, of a family of projectors, and an engine over it for as long as a test takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.pieces import Piece, PlacedPiece, Prompt, Seen
from runtime.engine.settings import ContextSettings, LoadSettings, ProjectorSettings
from runtime.engine.types import GenerationRequest, Sampling
from runtime.engine.weights import Weights
from runtime.media.decoding import decode
from support.architectures import WIDTH, Architecture, attention, write_blueprint, write_model
from support.bundles import DEMO_GGUF
from support.engine_runs import collect
from support.pictures import png
from support.projectors import gemma, idefics, llava, pixtral, qwen
from support.vocabularies import with_words

MODEL = "model.gguf"
FAMILIES = {"llava": llava, "gemma": gemma, "qwen": qwen, "idefics": idefics, "pixtral": pixtral}
_AROUND_TILES = ("\n\n", "<fake_token_around_image>", "<global-img>")
"""What libmtmd looks for in the vocabulary of a model of Idefics 3's family (mtmd.cpp)."""


def seeing_files(folder: Path, family: str, side: int = 0) -> Path:
    """A projector of `family`, with its model beside it: the demo, or one that fits the family."""
    if family == "qwen":
        write_model(folder / MODEL, Architecture.SECTIONS)
        return qwen(folder / "qwen.gguf", WIDTH)
    if family == "pixtral":
        write_model(folder / MODEL, Architecture.ATTENTION)
        return pixtral(folder / "pixtral.gguf", WIDTH)
    if family == "idefics":
        write_blueprint(folder / MODEL, Architecture.ATTENTION.value, with_words(attention(), _AROUND_TILES))
        return idefics(folder / "idefics.gguf", WIDTH)
    (folder / MODEL).symlink_to(DEMO_GGUF)
    return FAMILIES[family](folder / f"{family}.gguf", 192, **({"side": side} if side else {}))


SETTINGS = ContextSettings(1024, 4, 128, 64, 1)


def open_backend(projector_file: Path, offset: int = 0, settings: ContextSettings = SETTINGS) -> LlamaBackend:
    model = load_model(Weights(projector_file.with_name(MODEL)), LoadSettings(), threading.Event())
    projector = Projector(model, Weights(projector_file, offset), ProjectorSettings(), 1, None)
    return LlamaBackend(model, settings, projector=projector)


def seen_by(backend: LlamaBackend, colour: str) -> Seen:
    assert backend.projector is not None
    return backend.projector.see(decode("f", png(colour)))


def pieces_of(seen: Seen) -> int:
    """How many of its parts are looked at, each by itself."""
    return sum(isinstance(one, Piece) for one in seen)


def question(backend: LlamaBackend, *parts: str | Seen) -> GenerationRequest:
    """A greedy one of texts and pictures."""
    tokens: list[int] = []
    pieces: list[PlacedPiece] = []
    for part in parts:
        if isinstance(part, str):
            tokens += backend.model.tokenize(part, add_special=not tokens, parse_special=True)
            continue
        for one in part:
            if isinstance(one, Piece):
                pieces.append(PlacedPiece(len(tokens), one))
            tokens += one.tokens if isinstance(one, Piece) else one
    return GenerationRequest(tuple(tokens), 12, sampling=Sampling(temperature=0), pieces=tuple(pieces))


def text_of(backend: LlamaBackend, *parts: str | Seen) -> Prompt:
    """One that can be turned into vectors: its pictures have been looked at."""
    asked = question(backend, *parts)
    assert backend.projector is not None
    for placed in asked.pieces:
        assert backend.projector.is_encoded(placed.piece) or backend.projector.encode(placed.piece, lambda: True)
    return Prompt(asked.prompt, asked.pieces)


def with_engine(backend: LlamaBackend, body: Callable[[Engine], Awaitable[None]]) -> None:
    """Run `body` with an engine over `backend`, which is of no use afterwards."""

    async def main() -> None:
        engine = Engine(lambda: backend, shelf_bytes=2**24)
        engine.start()
        await asyncio.wrap_future(engine.ready)
        try:
            await asyncio.wait_for(body(engine), 60)
        finally:
            engine.stop()
            engine.join(10)

    asyncio.run(main())


async def texts_of(engine: Engine, requests: Iterable[GenerationRequest]) -> list[str]:
    """What comes of each, one after the other."""
    return [(await collect(engine.submit(request)))[0] for request in requests]


def anew(requests: Iterable[GenerationRequest]) -> list[GenerationRequest]:
    """The same, computed from the beginning."""
    return [msgspec.structs.replace(request, reuse_prefix=False) for request in requests]
