"""A real model that hears, or does not, for as long as a test takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.projector import Projector
from runtime.engine.settings import ContextSettings, LoadSettings, ProjectorSettings
from runtime.engine.weights import Weights
from support.bundles import DEMO_GGUF


def demo_with(projector_file: Path | None) -> Callable[[], LlamaBackend]:
    """Opens the demo model, with a projector where there is one."""

    def open_backend() -> LlamaBackend:
        model = load_model(Weights(DEMO_GGUF), LoadSettings(), threading.Event())
        projector = None
        if projector_file is not None:
            projector = Projector(model, Weights(projector_file), ProjectorSettings(), 1, None)
        return LlamaBackend(model, ContextSettings(1024, 4, 128, 64, 1), projector=projector)

    return open_backend
