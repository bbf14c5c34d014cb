"""What flags change of how a model computes: positions, what it says of itself, and control vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine.backend import BatchItem
from runtime.engine.errors import ControlVectorFailed, ModelLoadFailed, StateFailed
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, ControlVectors, LoadSettings, MetadataOverride, Rope
from runtime.engine.states import SavedSequence, StateFile
from runtime.engine.weights import Weights
from support.adapters import write_control_vector
from support.architectures import WIDTH, Architecture, write_model
from support.llama_runs import go_on
from support.pools import TEXT

Said = list[int]
Saying = Callable[..., Said]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "model.gguf", Architecture.ATTENTION)


PLAIN = Rope()
NOTHING = ControlVectors()


def opened(
    model: Path, rope: Rope = PLAIN, control: ControlVectors = NOTHING, *overrides: MetadataOverride
) -> LlamaBackend:
    loaded = load_model(Weights(model), LoadSettings(overrides=overrides), threading.Event())
    try:
        return LlamaBackend(loaded, ContextSettings(512, 2, 128, 64, 1, rope=rope, control=control))
    except BaseException:
        loaded.close()
        raise


def said(backend: LlamaBackend) -> Said:
    try:
        assert isinstance(backend.generator, Context)
        return go_on(backend.generator, 0, 0, TEXT[:100], 24)
    finally:
        backend.close()


def test_positions_are_told_as_flags_say(model: Path) -> None:
    plain = said(opened(model))
    same = [Rope(), Rope(freq_scale=1.0), Rope(freq_base=10000.0), Rope(scaling="none"), Rope(yarn_beta_fast=7.0)]
    assert all(said(opened(model, rope)) == plain for rope in same)
    yarn = {"scaling": "yarn", "freq_scale": 0.125, "yarn_orig_ctx": 64}
    others = [
        Rope(freq_base=50.0),
        Rope(freq_scale=0.125),
        Rope(**yarn),
        Rope(**yarn | {"yarn_orig_ctx": 16384}),
        Rope(**yarn, yarn_ext_factor=0.5),
        Rope(**yarn, yarn_ext_factor=0.0, yarn_attn_factor=2.0),
        Rope(**yarn, yarn_beta_fast=2.0, yarn_beta_slow=0.1),
        Rope(**yarn, yarn_beta_fast=200.0, yarn_beta_slow=20.0),
    ]
    texts = [tuple(said(opened(model, rope))) for rope in others]
    assert len({tuple(plain), *texts}) == len(others) + 1, "each says something of its own"
    assert said(opened(model, Rope(**yarn, yarn_ext_factor=0.0))) == list(texts[1]), "which is linear scaling"


def test_a_model_is_taken_at_the_word_of_flags(model: Path) -> None:
    overrides = (
        MetadataOverride("llama.context_length", 77),
        MetadataOverride("llama.rope.freq_base", 50.0),
        MetadataOverride("tokenizer.ggml.add_bos_token", not opened_adds_bos(model)),
        MetadataOverride("general.name", "another"),
    )
    backend = opened(model, PLAIN, ControlVectors(), *overrides)
    assert backend.model.facts.n_ctx_train == 77
    assert adds_bos(backend) != opened_adds_bos(model)
    assert said(backend) == said(opened(model, Rope(freq_base=50.0)))


def test_what_is_of_another_kind_is_refused_by_llama_cpp(model: Path) -> None:
    with pytest.raises(ModelLoadFailed):
        load_model(
            Weights(model),
            LoadSettings(overrides=(MetadataOverride("llama.embedding_length", 0),)),
            threading.Event(),
        )


def adds_bos(backend: LlamaBackend) -> bool:
    with_special, without = (backend.model.tokenize("a", add_special=add, parse_special=False) for add in (True, False))
    return with_special != without


def opened_adds_bos(model: Path) -> bool:
    backend = opened(model)
    try:
        return adds_bos(backend)
    finally:
        backend.close()


def test_control_vectors_add_up(model: Path, tmp_path: Path) -> None:
    one = write_control_vector(tmp_path / "one", {1: [2.0, -2.0] * (WIDTH // 2)})
    half = write_control_vector(tmp_path / "half", {1: [1.0, -1.0] * (WIDTH // 2)})
    plain = said(opened(model))

    def with_files(*files: tuple[Path, float], first: int = 1, last: int | None = None) -> Said:
        return said(opened(model, PLAIN, ControlVectors(files, first, last)))

    changed = with_files((one, 1.0))
    assert changed != plain
    assert with_files((one, 0.0)) == plain
    assert with_files((half, 2.0)) == changed
    assert with_files((half, 1.0), (half, 1.0)) == changed
    assert with_files((one, 1.0), (one, -1.0)) == plain
    assert with_files((one, 1.0), first=2) == plain, "behind another layer than the vector is for"
    assert with_files((one, 1.0), last=1) == changed


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ({1: [1.0] * (WIDTH - 1)}, "no 32 numbers"),
        ({1: [1.0] * (2 * WIDTH)}, "no 32 numbers"),
        ({7: [1.0] * WIDTH}, "no direction for a layer"),
        ({0: [1.0] * WIDTH}, "no direction.N"),
        ({1: [float("nan")] * WIDTH}, "no number"),
        ({}, "no direction"),
    ],
)
def test_a_control_vector_of_another_model(
    model: Path, tmp_path: Path, layers: dict[int, list[float]], reason: str
) -> None:
    file = write_control_vector(tmp_path / "vector", layers)
    with pytest.raises(ControlVectorFailed, match=reason):
        opened(model, PLAIN, ControlVectors(((file, 1.0),)))


def test_a_control_vector_that_is_none(model: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no vector")
    for path, error in (
        (tmp_path / "text", ControlVectorFailed),
        (tmp_path / "missing", OSError),
        (model, ControlVectorFailed),
    ):
        with pytest.raises(error):
            opened(model, PLAIN, ControlVectors(((path, 1.0),)))
    short = write_control_vector(tmp_path / "short", {1: [1.0] * WIDTH})
    short.write_bytes(short.read_bytes()[:-WIDTH])
    with pytest.raises(ControlVectorFailed):
        opened(model, PLAIN, ControlVectors(((short, 1.0),)))


def test_a_state_of_a_model_that_is_changed_fits_no_other(model: Path, tmp_path: Path) -> None:
    vector = ControlVectors(((write_control_vector(tmp_path / "vector", {1: [1.0] * WIDTH}), 1.0),))
    kinds = [(Rope(), ControlVectors()), (Rope(freq_scale=0.5), ControlVectors()), (Rope(), vector)]
    for number, (rope, control) in enumerate(kinds):
        backend = opened(model, rope, control)
        context = backend.generator
        assert isinstance(context, Context)
        context.decode([BatchItem(0, 0, TEXT[:20], 1)], ())
        context.save(0, SavedSequence(TEXT[:20]), tmp_path / str(number))
        for other in range(number):
            with pytest.raises(StateFailed, match="another model"):
                context.restore(1, StateFile(tmp_path / str(other)))
        assert context.restore(1, StateFile(tmp_path / str(number))).tokens == TEXT[:20]
        backend.close()
