"""What a model is told to keep of its text, beside what llama.cpp allocates for it."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import pytest

from bundler.gguf import read_gguf, summarize
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.layers import layer_sizes
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.weights import Weights
from runtime.machine.logs import LLAMA_CPP
from runtime.memory.layers import LayerCache
from runtime.memory.sizes import Kept, cache_sizes, choose_slots
from support.architectures import Architecture, write_model

_ALLOCATED = re.compile(r"(?:KV|RS) buffer size = +([\d.]+) MiB")

SETTINGS = {
    "long": ContextSettings(65_536, 4, 512, 512, 1),
    "many slots": ContextSettings(16_384, 64, 512, 128, 1),
    "whole windows": ContextSettings(32_768, 4, 512, 512, 1, swa_full=True),
    "large cells": ContextSettings(65_536, 4, 512, 512, 1, cache_type_k="f32", cache_type_v="f32"),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("architecture", list(Architecture), ids=lambda one: one.name.lower())
def test_what_is_told_is_what_is_taken(
    architecture: Architecture, settings: ContextSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_model(tmp_path / "model.gguf", architecture)
    sizes = layer_sizes(Weights(path))
    assert sizes is not None
    assert sizes.caches == summarize(read_gguf(path)).layers, "the bundler and the program read the same"
    with caplog.at_level(logging.INFO, logger=LLAMA_CPP):
        backend = LlamaBackend(load_model(Weights(path), LoadSettings(), threading.Event()), settings)
        backend.close()
    taken = sum(float(size) for size in _ALLOCATED.findall(caplog.text)) * 2**20
    assert sum(sizes.cache(settings.kept())) == pytest.approx(taken, rel=0.1)
    assert (taken > 0) is (architecture is not Architecture.RERANKER)


GEMMA_3_270M = [LayerCache(256, 256, None if layer % 6 == 5 else 512, 0) for layer in range(18)]


def test_a_model_that_people_have() -> None:
    """Gemma 3 270M: 3 of 18 layers see all."""
    total = sum(cache_sizes(GEMMA_3_270M, Kept(32_768, n_slots=4)))
    assert total == 1024 * (3 * 32_768 + 15 * (4 * 512 + 512))
    assert sum(cache_sizes(GEMMA_3_270M, Kept(32_768, n_slots=4, swa_full=True))) == 1024 * 18 * 32_768


@pytest.mark.parametrize(
    ("n_ctx", "keeps_state", "slots"), [(0, False, 1), (2048, False, 4), (2**20, False, 16), (2**20, True, 4)]
)
def test_how_many_requests_run_at_once(n_ctx: int, keeps_state: bool, slots: int) -> None:
    assert choose_slots(n_ctx, keeps_state=keeps_state) == slots
