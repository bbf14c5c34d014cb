"""llama.cpp itself, through `runtime/engine/llama`, on the demo model: what the engine relies on."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from runtime.engine.backend import BatchItem, PoolFull, Sampled
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.binding import import_binding, use_numa
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings, LoadSettings, NumaStrategy
from runtime.engine.types import Sampling
from runtime.engine.weights import Weights
from support.llama_runs import GREEDY, PROMPT, go_on, open_backend, tokens_of


def test_loading_tells_how_far_it_is(demo_gguf: Path) -> None:
    shares: list[float] = []
    load_model(Weights(demo_gguf), LoadSettings(), threading.Event(), report=shares.append).close()
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


# -- probabilities --------------------------------------------------------------------------------------------


def first_probabilities(backend: LlamaBackend, context: Context, sampling: Sampling) -> Any:
    prompt = tokens_of(backend, PROMPT)
    outputs = context.decode([BatchItem(0, 0, prompt, 1)], ())
    sampler = context.new_sampler(sampling, prompt)
    try:
        return sampler.sample(outputs[0])
    finally:
        sampler.close()


def test_probabilities_are_those_of_the_whole_vocabulary(backend: LlamaBackend, context: Context) -> None:
    n_vocab = backend.model.facts.vocabulary_size
    sampled = first_probabilities(backend, context, msgspec.structs.replace(GREEDY, n_probs=n_vocab))
    top = sampled.probabilities.top
    assert len(top) == n_vocab
    assert sum(one.probability for one in top) == pytest.approx(1, abs=1e-3)
    assert [one.probability for one in top] == sorted((one.probability for one in top), reverse=True)
    assert top[0].token == sampled.token, "greedy takes the most probable"
    assert sampled.probabilities.sampled == top[0]


def test_probabilities_after_sampling_are_those_of_what_is_left(backend: LlamaBackend, context: Context) -> None:
    sampling = Sampling(seed=1, top_k=5, top_p=1.0, min_p=0.0, n_probs=50, post_sampling_probs=True)
    sampled = first_probabilities(backend, context, sampling)
    top = sampled.probabilities.top
    assert len(top) == 5
    assert sum(one.probability for one in top) == pytest.approx(1, abs=1e-4)
    assert sampled.probabilities.sampled in top


def test_asking_for_probabilities_does_not_change_the_text(backend: LlamaBackend, context: Context) -> None:
    plain = Sampling(seed=7, temperature=1.2)
    prompt = tokens_of(backend, PROMPT)
    texts = []
    for slot, n_probs in enumerate((0, 3)):
        texts.append(go_on(context, slot, 0, prompt, 20, msgspec.structs.replace(plain, n_probs=n_probs)))
    assert texts[0] == texts[1]


# -- what is added to logits, and the order of samplers --------------------------------------------------------


def test_logit_bias_forces_and_forbids(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    usual = go_on(context, 0, 0, prompt, 1)[0]
    forbidden = msgspec.structs.replace(GREEDY, logit_bias=((usual, -math.inf),))
    assert go_on(context, 1, 0, prompt, 1, forbidden)[0] != usual
    forced = msgspec.structs.replace(GREEDY, logit_bias=((5, 1000.0),))
    assert go_on(context, 2, 0, prompt, 3, forced) == [5, 5, 5]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(seed=1, samplers=()),
        Sampling(seed=1, samplers=("top_k", "top_k", "temperature"), top_k=1),
        Sampling(seed=1, samplers=("min_p", "adaptive_p"), adaptive_target=0.4),
        Sampling(seed=1, mirostat=1),
        Sampling(seed=1, mirostat=2),
        Sampling(seed=1, dry_multiplier=0.8, dry_sequence_breakers=("a", "ü")),
        Sampling(seed=1, xtc_probability=0.5, dynatemp_range=0.5, top_n_sigma=1.0, typical_p=0.9, ignore_eos=True),
    ],
)
def test_a_seed_gives_the_same_text(backend: LlamaBackend, context: Context, sampling: Sampling) -> None:
    prompt = tokens_of(backend, PROMPT)
    first, second = (go_on(context, slot, 0, prompt, 12, sampling) for slot in (0, 1))
    assert first == second


# -- the pool -------------------------------------------------------------------------------------------------


def test_the_pool_has_as_many_cells_as_it_says(context: Context) -> None:
    """Copies share cells; what is full says so and keeps nothing of the batch."""
    tokens = (3,) * 100
    context.decode([BatchItem(0, 0, tokens, 0)], ())
    context.copy_prefix(0, 1, 100)
    for held in range(100, 500, 100):
        context.decode([BatchItem(1, held, tokens, 0)], ())
    with pytest.raises(PoolFull):
        context.decode([BatchItem(2, 0, (3,) * 13, 0)], ())
    context.decode([BatchItem(2, 0, (3,) * 12, 0)], ())


@pytest.mark.parametrize(("streams", "prompt"), [(8, 0), (63, 0), (64, 0), (90, 0), (40, 80)])
def test_sequences_that_share_a_pool_are_as_if_alone(demo_gguf: Path, streams: int, prompt: int) -> None:
    """Each sees its own cells only, whichever way attention is computed (`bundler/freeze/corrections.py`).

    Their cells lie in turns, and from 64 tokens in a batch on llama.cpp takes 64 of them together.
    """
    steps = 5  # of one token each, of which the last is looked at
    texts = [tuple(3 + (7 * stream + 3 * place) % 400 for place in range(10 + steps)) for stream in range(streams)]
    late = tuple(3 + (11 * place) % 400 for place in range(prompt))
    model = load_model(Weights(demo_gguf), LoadSettings(), threading.Event())
    backend = LlamaBackend(model, ContextSettings(4096, streams + 1, 256, 256, 2))
    context = backend.generator
    assert isinstance(context, Context)
    sampler = context.new_sampler(msgspec.structs.replace(GREEDY, n_probs=1), texts[0])

    def chances(items: list[BatchItem]) -> list[float]:
        outputs = context.decode(items, ())
        found = [sampler.sample(outputs[item.slot]).probabilities for item in items]
        assert None not in found
        return [math.log(one.sampled.probability) for one in found if one is not None]

    try:
        for stream, text in enumerate(texts):
            context.decode([BatchItem(stream, 0, text[:10], 0)], ())
        for step in range(steps):
            items = [BatchItem(stream, 10 + step, (text[10 + step],), 1) for stream, text in enumerate(texts)]
            if prompt and step == steps - 1:
                items.append(BatchItem(streams, 0, late, 1))
            together = chances(items)
        alone = []
        for slot in range(streams + 1):
            context.keep_prefix(slot, 0)
        for text in [*texts, late] if prompt else texts:
            alone += chances([BatchItem(0, 0, text, 1)])
            context.keep_prefix(0, 0)
        assert together == pytest.approx(alone, abs=0.02)
    finally:
        sampler.close()
        backend.close()


def test_the_next_tokens_need_not_be_described(backend: LlamaBackend, context: Context) -> None:
    """`decode_next` goes on where the batch before ended, whatever that held, and whoever is in it."""
    prompts = [tokens_of(backend, text) for text in (PROMPT, "Another one", "And a third")]
    told = msgspec.structs.replace(GREEDY, n_probs=5)

    def continued(described: bool) -> list[Sampled]:
        samplers = [context.new_sampler(told, prompt) for prompt in prompts]
        items = [BatchItem(slot, 0, prompt, 1) for slot, prompt in enumerate(prompts)]
        outputs = context.decode(items, ())
        said = [sampler.sample(outputs[slot]) for slot, sampler in enumerate(samplers)]
        for step in range(4):
            last = [one.token for one in said[-len(prompts) :]]
            if described or not step:
                items = [BatchItem(slot, len(prompts[slot]) + step, (token,), 1) for slot, token in enumerate(last)]
                context.decode(items, ())
            else:
                assert list(context.decode_next(last, ())) == [0, 1, 2]
            said += [sampler.sample(place) for place, sampler in enumerate(samplers)]
        for slot, sampler in enumerate(samplers):
            sampler.close()
            context.keep_prefix(slot, 0)
        return said

    assert continued(described=False) == continued(described=True)


# -- vectors --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unpooled(demo_gguf: Path) -> Iterator[LlamaBackend]:
    backend = open_backend(demo_gguf, "none")
    yield backend
    backend.close()


def test_texts_embedded_together_are_as_if_alone(backend: LlamaBackend) -> None:
    texts = [tokens_of(backend, text) for text in ("hello", "The moon is far away.", "a", "hello")]
    together = backend.embedder().embed(texts, ())
    for text, (vector,) in zip(texts, together, strict=True):
        ((alone,),) = backend.embedder().embed([text], ())
        assert vector.tolist() == pytest.approx(alone.tolist(), abs=2e-2)
    assert together[0] == together[3]
    assert together[0] != together[1]


def test_the_mean_is_that_of_the_tokens(backend: LlamaBackend, unpooled: LlamaBackend) -> None:
    """A model that says nothing of pooling gets the mean."""
    assert backend.embedder().pooling == "mean"
    text = tokens_of(backend, "The moon is far away.")
    (rows,) = unpooled.embedder().embed([text], ())
    assert unpooled.embedder().pooling == "none"
    assert len(rows) == len(text)
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    ((pooled,),) = backend.embedder().embed([text], ())
    assert pooled.tolist() == pytest.approx(means, abs=2e-2)


def test_embedding_leaves_the_pool_alone(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    expected = go_on(context, 0, 0, prompt, 6)
    said = go_on(context, 1, 0, prompt, 3)
    backend.embedder().embed([tokens_of(backend, "something else")], ())
    assert [*said, *go_on(context, 1, len(prompt) + 2, (said[-1],), 3)] == expected


@pytest.mark.parametrize("strategy", get_args(NumaStrategy))
def test_numa_strategies_have_ggml_s_numbers(strategy: NumaStrategy, monkeypatch: pytest.MonkeyPatch) -> None:
    lib, _logs = import_binding()
    use_numa.cache_clear()
    said: list[int] = []
    monkeypatch.setattr(lib, "llama_numa_init", said.append)
    use_numa(strategy)
    use_numa(strategy)
    assert said == [getattr(lib, f"GGML_NUMA_STRATEGY_{strategy.upper()}")]
