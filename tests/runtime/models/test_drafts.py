"""Which draft model is used, where it computes, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine.errors import DraftMisfit
from runtime.engine.facts import LayerSizes
from runtime.engine.placement import ON_THE_PROCESSOR, Offload, Placement, WorkerAddress
from runtime.engine.weights import Weights
from runtime.explaining.launch import describe_model
from runtime.explaining.report import Model
from runtime.models.drafts import draft_of, draft_offload
from runtime.models.finding import Draft, Found
from runtime.models.loading import look_at_models
from runtime.settings import EngineSettings, Settings
from support.architectures import Architecture, write_model

INSIDE = Draft(Weights(Path("bundle.loaf"), 65536), 1000)


def found(*, keeps_cache: bool = True) -> Found:
    return Found("model", Weights(Path("model.gguf")), 10, "", keeps_cache=keeps_cache, draft=INSIDE)


def test_a_flag_comes_before_what_lies_in_the_bundle(tmp_path: Path) -> None:
    outside = tmp_path / "draft.gguf"
    outside.write_bytes(bytes(7))
    assert draft_of(found(), EngineSettings()) == INSIDE
    assert draft_of(found(), EngineSettings(draft=outside)) == Draft(Weights(outside), 7)
    assert draft_of(found(), EngineSettings(draft=outside, max_draft=0)) is None
    assert draft_of(found(keeps_cache=False), EngineSettings()) is None
    with pytest.raises(FileNotFoundError):
        draft_of(found(), EngineSettings(draft=tmp_path / "none.gguf"))


def test_it_computes_where_the_whole_model_does() -> None:
    sizes = LayerSizes((1, 1), 1, (), 0, 0)
    gpu = Offload(Path("libggml-vulkan.so"), (0,), 9)
    remote = Offload(None, (), 9, workers=(WorkerAddress("host", 1),))
    for placement, layers in (
        (Placement(gpu, is_whole=True), 3),
        (Placement(gpu), 0),
        (Placement(remote, is_whole=True), 0),
    ):
        offload = draft_offload(placement, sizes)
        assert offload is not None
        assert (offload.n_layers, offload.workers) == (layers, ())
    assert draft_offload(ON_THE_PROCESSOR, sizes) is None


def told(model: Path, draft: Path) -> Model:
    settings = Settings(model=model, engine=EngineSettings(n_ctx=512, draft=draft))
    (one,) = (describe_model(*each) for each in look_at_models(None, settings))
    return one


def test_what_is_told_of_it(demo_gguf: Path) -> None:
    model = told(demo_gguf, demo_gguf)
    assert model.draft is not None
    assert (model.draft.weights, model.draft.context) == (model.weights, model.context)
    assert model.draft.context > 0


def test_nothing_guesses_for_a_memory_that_cannot_be_cut(tmp_path: Path) -> None:
    recurrent = write_model(tmp_path / "mamba.gguf", Architecture.RECURRENT)
    attention = write_model(tmp_path / "llama.gguf", Architecture.ATTENTION)
    assert told(recurrent, attention).draft is None
    with pytest.raises(DraftMisfit, match="memory is a state"):
        told(attention, recurrent)
