"""`python load_time.py GGUF CTX SLOTS THREADS`: prints the seconds that llama.cpp itself needs to load a model.

That is reading the weights and making a context, through the runtime's own calls, with the backends loaded and
Python's imports done: what any program around llama.cpp has to wait for.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.binding import import_binding
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.weights import Weights
from runtime.settings import EngineSettings


def main(gguf: Path, n_ctx: int, n_slots: int, n_threads: int) -> None:
    usual = EngineSettings()
    settings = ContextSettings(n_ctx, n_slots, min(usual.n_batch, n_ctx), min(usual.n_ubatch, n_ctx), n_threads)
    import_binding()
    began = time.perf_counter()
    LlamaBackend(load_model(Weights(gguf), usual.load, threading.Event()), settings)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
