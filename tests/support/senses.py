"""A real model that sees or hears, or does not, for as long as a test takes; and what it answers over HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runtime.engine.backend import BatchItem
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.settings import ContextSettings, LoadSettings, ProjectorSettings
from runtime.engine.weights import Weights
from support.apps import Ask, with_app
from support.bundles import DEMO_GGUF

Answers = Callable[[str, Any], Awaitable[tuple[int, Any]]]
"""A path and what is posted there as JSON to (status, what came as JSON)."""


def demo_with(projector_file: Path | None, n_ubatch: int = 64) -> Callable[[], LlamaBackend]:
    """Opens the demo model, with a projector where there is one, computing so many tokens at once."""

    def open_backend() -> LlamaBackend:
        model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
        projector = None
        if projector_file is not None:
            projector = Projector(model, Weights(projector_file), ProjectorSettings(), 1, None)
        return LlamaBackend(model, ContextSettings(1024, 4, 128, n_ubatch, 1), projector=projector)

    return open_backend


def asked(projector_file: Path | None, body: Callable[[Answers, Engine], Awaitable[None]], n_ubatch: int = 64) -> None:
    """Has `body` ask the demo model with that projector."""

    async def with_json(ask: Ask, engine: Engine) -> None:
        await asyncio.wrap_future(engine.ready)

        async def answers(path: str, content: Any) -> tuple[int, Any]:
            status, _headers, text = await ask("POST", path, json.dumps(content).encode())
            return status, json.loads(text)

        await body(answers, engine)

    with_app(demo_with(projector_file, n_ubatch), with_json)


def said_greedily(backend: LlamaBackend, context: Context, position: int, n: int) -> str:
    """What the model goes on with, up to `n` tokens, after what was computed last in slot 0, up to `position`."""
    said, output = b"", -1
    for _ in range(n):
        logits = backend.model.lib.llama_get_logits_ith(context._handle, output)
        token = max(range(backend.model.facts.vocabulary_size), key=lambda i: logits[i])
        if backend.model.ends_generation(token):
            break
        said += backend.model.piece(token)
        output = context.decode([BatchItem(0, position, (token,), 1)], ())[0]
        position += 1
    return said.decode("utf-8", "replace")
