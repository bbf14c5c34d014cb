"""What a memory that cannot be cut can go back to is saved with it: after a restart, and in a bundle that is warm."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest

from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import LoadSettings
from runtime.engine.states import StateFile, Warmth
from runtime.engine.weights import Weights
from support.architectures import Architecture, write_model
from support.memories import SETTINGS, agree, say, with_engine

CUTTABLE_NOWHERE = [Architecture.RECURRENT, Architecture.HYBRID, Architecture.SLIDING_WINDOW]
_chance = random.Random(7)
TEXT = [_chance.randrange(300, 1000) for _ in range(240)]
TURN = 100
EDITED = [*TEXT[: TURN + 20], *TEXT[:60]]
"""It goes on otherwise after the turn has begun."""


@pytest.mark.parametrize("architecture", CUTTABLE_NOWHERE, ids=lambda one: one.name.lower())
def test_a_restored_slot_can_be_gone_back_in(architecture: Architecture, tmp_path: Path) -> None:
    gguf, state = write_model(tmp_path / "model.gguf", architecture), tmp_path / "state"

    async def save(engine: Engine) -> None:
        await say(engine, TEXT, turns=(TURN,))
        (slot,) = (one.slot for one in engine.stats().slots if one.held_tokens)
        await asyncio.wrap_future(engine.save_slot(slot, state))

    async def go_on(engine: Engine) -> None:
        await asyncio.wrap_future(engine.restore_slot(2, state))
        said, usage = await say(engine, EDITED)
        assert usage.cached_tokens >= TURN
        assert agree((await say(engine, EDITED, reuse=False))[0], said)

    with_engine(gguf, save)
    with_engine(gguf, go_on)


@pytest.mark.parametrize("architecture", CUTTABLE_NOWHERE, ids=lambda one: one.name.lower())
def test_what_is_warm_can_be_gone_back_in(architecture: Architecture, tmp_path: Path) -> None:
    """A prompt that shares no more than a part of the text is computed from there; twice, since the file stays."""
    gguf, state = write_model(tmp_path / "model.gguf", architecture), tmp_path / "state"

    async def save(engine: Engine) -> None:
        await say(engine, TEXT, 1, turns=(TURN,))
        await asyncio.wrap_future(engine.save_slot(0, state))

    with_engine(gguf, save)

    def open_backend() -> LlamaBackend:
        backend = LlamaBackend(load_model(Weights(gguf), LoadSettings(), threading.Event()), SETTINGS)
        assert backend.generator is not None
        file = StateFile(state)
        tokens, checkpoints = backend.generator.saved_tokens(file), backend.generator.saved_checkpoints(file)
        assert TURN in checkpoints
        backend.warmth = Warmth(tokens, (), file, checkpoints=checkpoints)
        return backend

    async def main() -> None:
        engine = Engine(open_backend)
        engine.start()
        await asyncio.wrap_future(engine.ready)
        try:
            for prompt in (EDITED, [*EDITED[:-9], 500, 501]):
                said, usage = await say(engine, prompt)
                assert usage.cached_tokens >= TURN
                assert agree((await say(engine, prompt, reuse=False))[0], said)
        finally:
            engine.stop()
            engine.join(10)

    asyncio.run(main())
