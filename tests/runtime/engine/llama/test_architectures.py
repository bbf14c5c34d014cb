"""Tiny models of each architecture, through what the engine uses: what they say, and when they go on from a prefix."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engine.backend import BatchItem
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.context import Context, Interrupt
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import ContextSettings
from runtime.engine.team import Team
from runtime.engine.types import Sampling
from runtime.engine.weights import Adapter, Weights
from support.adapters import write_lora
from support.architectures import WINDOW, Architecture, write_model
from support.pools import BATCH, CELLS, MICRO_BATCH, OTHER, SLOTS, TEXT, Library, load

GENERATING = [one for one in Architecture if one is not Architecture.RERANKER]


@pytest.mark.parametrize("architecture", Architecture)
def test_models_are_small_and_the_same_each_time(architecture: Architecture, tmp_path: Path) -> None:
    content = write_model(tmp_path / "a", architecture).read_bytes()
    assert len(content) < 300_000
    assert write_model(tmp_path / "b", architecture).read_bytes() == content


@pytest.mark.parametrize("architecture", GENERATING)
def test_models_say_varied_things(architecture: Architecture, tmp_path: Path) -> None:
    """Through what the engine uses: all of its kinds of memory load, compute and sample."""
    backend = open_backend(load(write_model(tmp_path / "model", architecture)))
    for beginning in (TEXT[:1], TEXT[:20], TEXT[20:40], TEXT[40:100]):
        said = greedy(backend, beginning, 64)
        assert len(set(said)) >= 24, said
    backend.close()


def test_adapters_change_what_is_said(tmp_path: Path) -> None:
    """As strongly as their scales say, each in its own way."""
    paths = [write_lora(tmp_path / str(seed), seed, rank=4) for seed in (1, 2)]
    adapters = (Adapter(path.name, Weights(path)) for path in paths)
    backend = open_backend(load(write_model(tmp_path / "model", Architecture.ATTENTION), *adapters))
    plain, *changed = (greedy(backend, TEXT[:20], 8, scales) for scales in ((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0)))
    assert all(one != plain for one in changed)
    assert len({*map(tuple, changed)}) == len(changed)
    assert greedy(backend, TEXT[:20], 8, (0, 0)) == plain
    backend.close()


def test_a_reranker_scores_texts(tmp_path: Path) -> None:
    backend = open_backend(load(write_model(tmp_path / "model", Architecture.RERANKER)))
    assert backend.generator is None
    assert backend.embedder().pooling == "rank"
    documents = ("the first man on the moon", "bread", "the weather", "bread")
    texts = [backend.model.rerank_prompt("who was on the moon?", document) for document in documents]
    scores = [vectors[0].tolist() for vectors in backend.embedder().embed(texts, ())]
    assert all(len(score) == 1 for score in scores)
    moon, bread, weather, again = (score[0] for score in scores)
    assert bread == pytest.approx(again, abs=1e-4)
    assert min(abs(moon - bread), abs(moon - weather), abs(bread - weather)) > 0.01
    backend.close()


FORGOTTEN = 250 + 100 - 256
"""Tokens of which a window's cells are taken by `refill`: it has 256."""


def open_backend(model: LlamaModel) -> LlamaBackend:
    return LlamaBackend(model, ContextSettings(CELLS, SLOTS, BATCH, MICRO_BATCH, 1))


def greedy(backend: LlamaBackend, prompt: tuple[int, ...], n: int, scales: tuple[float, ...] = ()) -> tuple[int, ...]:
    assert isinstance(backend.generator, Context)
    backend.generator.keep_prefix(0, 0)
    return go_on(backend.generator, 0, 0, prompt, n, scales)


def go_on(
    context: Context, slot: int, held: int, tokens: tuple[int, ...], n: int = 8, scales: tuple[float, ...] = ()
) -> tuple[int, ...]:
    sampler = context.new_sampler(Sampling(temperature=0.0), ())
    said: list[int] = []
    for _ in range(n):
        outputs = context.decode([BatchItem(slot, held, tokens, 1)], scales)
        held += len(tokens)
        said.append(sampler.sample(outputs[slot]).token)
        tokens = (said[-1],)
    sampler.close()
    return tuple(said)


@pytest.mark.parametrize("architecture", GENERATING)
def test_what_the_engine_holds_goes_on(library: Library, architecture: Architecture) -> None:
    """`Context.holds` promises nothing that is not there, and all that is."""
    model = library.model(architecture)
    settings = ContextSettings(CELLS, SLOTS, BATCH, MICRO_BATCH, 1, False, cache_type_k="f32", cache_type_v="f32")
    context = Context(model, settings, Interrupt(model.lib), Team(1, None))
    refill(context)
    held = [length for length in range(1, 260) if context.holds(1, length)]
    for length in held[:3] + held[-3:]:
        refill(context)
        assert context.holds(1, length)
        assert context.copy_prefix(1, 2, length)
        assert go_on(context, 2, length, OTHER[-1:]) == library.alone(architecture, TEXT[:length]).tokens
    cells = {Architecture.ATTENTION: 1, Architecture.SECTIONS: 1, Architecture.SLIDING_WINDOW: FORGOTTEN + WINDOW - 1}
    shortest = cells.get(architecture, 250)
    assert held == list(range(shortest, 251))
    context.close()


def refill(context: Context) -> None:
    """Let slot 1 hold 250 tokens. What a window held of the first ones is gone: its cells have been taken."""
    for slot in range(SLOTS):
        context.keep_prefix(slot, 0)
    fill(context, 1, 0, 250)
    fill(context, 0, 0, 100)


def fill(context: Context, slot: int, start: int, end: int) -> None:
    for first in range(start, end, MICRO_BATCH):
        context.decode([BatchItem(slot, first, TEXT[first : min(first + MICRO_BATCH, end)], 1)], ())


def test_a_copied_window_leaves_the_cells_behind_it_to_others(library: Library) -> None:
    """llama.cpp takes no cell that two sequences have, and a memory of windows has none to spare."""
    model = library.model(Architecture.SLIDING_WINDOW)
    settings = ContextSettings(CELLS, SLOTS, BATCH, MICRO_BATCH, 1, False, cache_type_k="f32", cache_type_v="f32")
    context = Context(model, settings, Interrupt(model.lib), Team(1, None))
    fill(context, 0, 0, 246)
    for slot in range(1, SLOTS):
        assert context.copy_prefix(0, slot, 246)
        fill(context, slot, 246, 300)
    for slot in range(1, SLOTS):
        assert go_on(context, slot, 300, OTHER[-1:]) == library.alone(Architecture.SLIDING_WINDOW, TEXT[:300]).tokens
    context.close()
