"""llama.cpp through `runtime/engine/llama`, as the tests of it want it: small, and asked step by step."""

from __future__ import annotations

import threading
from pathlib import Path

from runtime.engine.backend import BatchItem
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings, Pooling
from runtime.engine.types import Sampling
from runtime.engine.weights import Weights

GREEDY = Sampling(temperature=0.0)
PROMPT = "The first man on the moon was"


def open_backend(gguf: Path, pooling: Pooling | None = None, n_ctx: int = 512) -> LlamaBackend:
    model = load_model(Weights(gguf), LoadSettings(), threading.Event())
    return LlamaBackend(model, ContextSettings(n_ctx, 4, 128, 64, 1, max_draft=8, looks_up=True, pooling=pooling))


def tokens_of(backend: LlamaBackend, text: str) -> tuple[int, ...]:
    return backend.model.tokenize(text, add_special=True, parse_special=True)


def go_on(
    context: Context, slot: int, held: int, tokens: tuple[int, ...], n: int, sampling: Sampling = GREEDY
) -> list[int]:
    """Compute `tokens` after the first `held` ones of `slot`, and sample `n` more."""
    sampler = context.new_sampler(sampling, tokens)
    said: list[int] = []
    try:
        for _ in range(n):
            outputs = context.decode([BatchItem(slot, held, tokens, 1)], ())
            held += len(tokens)
            said.append(sampler.sample(outputs[slot]).token)
            tokens = (said[-1],)
    finally:
        sampler.close()
    return said


def text_of(backend: LlamaBackend, tokens: list[int]) -> str:
    return b"".join(map(backend.model.piece, tokens)).decode("utf-8", "replace")
