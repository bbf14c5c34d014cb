"""llama.cpp itself, through `runtime/engine/llama`, on the demo model: what the engine relies on."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from runtime.engine.backend import (
    BatchItem,
    ContextSettings,
    LoadSettings,
    NumaStrategy,
    PoolFull,
    Pooling,
    StateFile,
    Weights,
)
from runtime.engine.errors import GrammarInvalid, GrammarStuck, GrammarTooCostly, StateFailed
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.binding import import_binding, use_numa
from runtime.engine.llama.context import Context
from runtime.engine.llama.loading import load_model
from runtime.engine.types import Sampling, Triggers

GREEDY = Sampling(temperature=0.0)
PROMPT = "The first man on the moon was"


def open_backend(gguf: Path, pooling: Pooling | None = None, n_ctx: int = 512) -> LlamaBackend:
    model = load_model(Weights(gguf), LoadSettings(), threading.Event())
    return LlamaBackend(model, ContextSettings(n_ctx, 4, 128, 64, 1, max_draft=8, pooling=pooling))


@pytest.fixture(scope="module")
def backend(demo_gguf: Path) -> Iterator[LlamaBackend]:
    backend = open_backend(demo_gguf)
    yield backend
    backend.close()


@pytest.fixture
def context(backend: LlamaBackend) -> Context:
    """The pool, with nothing in it."""
    context = backend.generator
    assert isinstance(context, Context)
    for slot in range(4):
        context.keep_prefix(slot, 0)
    return context


def test_loading_tells_how_far_it_is(demo_gguf: Path) -> None:
    shares: list[float] = []
    load_model(Weights(demo_gguf), LoadSettings(), threading.Event(), report=shares.append).close()
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


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


# -- grammars -------------------------------------------------------------------------------------------------


def test_a_grammar_holds_from_the_beginning(backend: LlamaBackend, context: Context) -> None:
    sampling = msgspec.structs.replace(GREEDY, grammar='root ::= "ab" [0-9]+ "."')
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 4, sampling))
    assert said.startswith("ab")
    with pytest.raises(GrammarInvalid):
        context.new_sampler(msgspec.structs.replace(GREEDY, grammar="root ::= missing"), ())


def test_a_grammar_with_ever_more_ways_ends_its_request(backend: LlamaBackend, context: Context) -> None:
    """Twice as many after each letter: llama.cpp alone would fill the memory."""
    doubling = msgspec.structs.replace(GREEDY, grammar='root ::= "a" root "b" | "a" root "c"')
    with pytest.raises(GrammarTooCostly):
        go_on(context, 0, 0, tokens_of(backend, PROMPT), 200, doubling)
    with pytest.raises(GrammarTooCostly):
        context.new_sampler(msgspec.structs.replace(GREEDY, grammar="root ::= " + "(" * 9_999 + ")" * 9_999), ())


def test_words_that_can_be_read_in_many_ways_are_said(backend: LlamaBackend, context: Context) -> None:
    words = msgspec.structs.replace(GREEDY, grammar='root ::= ([A-Za-z]+ " "?)+')
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 20, words))
    assert said.replace(" ", "").isalpha()


def test_long_tokens_can_be_left_out(backend: LlamaBackend) -> None:
    vocabulary = backend.model.vocabulary
    longer = vocabulary.longer_than(3)
    assert all(len(vocabulary.piece(token, special=True).decode("utf-8", "replace")) > 3 for token in longer)
    assert 0 < len(longer) < len(vocabulary.longer_than(0)) <= vocabulary.size


LAZY: list[tuple[str, str, str]] = [
    ("the trigger is what the model says anyway", "Neil", 'root ::= "Neil" " " "X"+'),
    ("it begins in the middle of a token", "eil", 'root ::= "eil" "y"+'),
    ("what would follow in the same token does not fit", "N", 'root ::= "N" "q"+'),
]


@pytest.mark.parametrize(("word", "grammar"), [row[1:] for row in LAZY], ids=[row[0] for row in LAZY])
def test_a_lazy_grammar_holds_from_its_trigger(
    backend: LlamaBackend, context: Context, word: str, grammar: str
) -> None:
    """The model says "... Neil Armstrong": from the trigger on it may only say what the grammar allows."""
    lazy = msgspec.structs.replace(GREEDY, grammar=grammar, triggers=Triggers(words=(word,)))
    said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 8, lazy))
    last = grammar[-3]
    _before, found, after = said.partition(word)
    if word == "N":
        assert not found or set(after) == {last}
    else:
        assert found
        assert "Armstrong" not in after
        assert set(after.strip()) <= {last}


def test_a_lazy_grammar_that_is_never_triggered_changes_nothing(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    lazy = msgspec.structs.replace(GREEDY, grammar='root ::= "zebra"', triggers=Triggers(words=("zebra",)))
    assert go_on(context, 0, 0, prompt, 10) == go_on(context, 1, 0, prompt, 10, lazy)


def test_a_token_triggers_a_lazy_grammar(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    first = go_on(context, 0, 0, prompt, 1)[0]
    piece = backend.model.piece(first).decode()
    lazy = msgspec.structs.replace(GREEDY, grammar=f'root ::= "{piece}" "z"+', triggers=Triggers(tokens=(first,)))
    said = text_of(backend, go_on(context, 1, 0, prompt, 4, lazy))
    assert said.startswith(piece)
    assert set(said.removeprefix(piece)) == {"z"}


def test_a_trigger_that_its_grammar_does_not_take_is_never_said(backend: LlamaBackend, context: Context) -> None:
    """llama.cpp would end the process here."""
    lazy = msgspec.structs.replace(GREEDY, grammar='root ::= "x"', triggers=Triggers(words=("Neil",)))
    try:
        said = text_of(backend, go_on(context, 0, 0, tokens_of(backend, PROMPT), 8, lazy))
    except GrammarStuck:
        return
    assert "Neil" not in said


# -- states ---------------------------------------------------------------------------------------------------


def test_a_restored_state_goes_on_as_the_saved_one_would_have(
    backend: LlamaBackend, context: Context, tmp_path: Path
) -> None:
    prompt = tokens_of(backend, PROMPT)
    said = go_on(context, 0, 0, prompt, 5)
    held = (*prompt, *said[:-1])
    size = context.save(0, held, tmp_path / "state")
    assert size == (tmp_path / "state").stat().st_size
    assert list(tmp_path.iterdir()) == [tmp_path / "state"], "nothing is left beside it"
    expected = go_on(context, 0, len(held), (said[-1],), 5)
    (tmp_path / "within").write_bytes(bytes(65536) + (tmp_path / "state").read_bytes() + b"more")
    for slot, file in ((2, StateFile(tmp_path / "state")), (1, StateFile(tmp_path / "within", 65536, size))):
        assert context.saved_tokens(file) == held
        assert context.restore(slot, file) == held
    context.keep_prefix(1, 0)
    assert context.holds(2, len(held))
    assert go_on(context, 2, len(held), (said[-1],), 5) == expected


def test_a_state_kept_in_memory_goes_on_too(backend: LlamaBackend, context: Context) -> None:
    prompt = tokens_of(backend, PROMPT)
    said = go_on(context, 0, 0, prompt, 5)
    held = len(prompt) + 4
    state = context.state(0)
    assert state is not None
    assert len(state) == context.state_size(0)
    expected = go_on(context, 0, held, (said[-1],), 5)
    context.keep_prefix(0, 0)
    assert context.set_state(3, state)
    assert context.holds(3, held)
    assert go_on(context, 3, held, (said[-1],), 5) == expected
    context.keep_prefix(3, 0)
    for slot in range(3):
        length = (context.n_ctx - held // 2) // 3
        for begin in range(0, length, 100):
            context.decode([BatchItem(slot, begin, (1,) * min(100, length - begin), 0)], ())
    assert not context.set_state(3, state), "there is no room for it"


def test_a_damaged_state_is_refused(backend: LlamaBackend, context: Context, tmp_path: Path) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    context.save(0, prompt, tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    cut = [whole[:size] for size in (0, 3, 8, 40, 83, 84, 90, len(whole) // 2, len(whole) - 1)]
    changed = [whole[:place] + b"\xff\xfe" + whole[place + 2 :] for place in (0, 10, 50, 72, 76, 90, len(whole) - 9)]
    for content in (*cut, *changed, whole + b"more"):
        (tmp_path / "odd").write_bytes(content)
        with pytest.raises(StateFailed):
            _read(context, tmp_path / "odd")
    context.keep_prefix(1, 0)
    assert context.restore(1, StateFile(tmp_path / "state")) == prompt, "the pool is as it was"


def _read(context: Context, path: Path) -> None:
    context.saved_tokens(StateFile(path))
    context.restore(1, StateFile(path))


def test_a_state_of_another_model_is_refused(
    backend: LlamaBackend, context: Context, tmp_path: Path, demo_gguf: Path
) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    context.save(0, prompt, tmp_path / "state")
    model = load_model(Weights(demo_gguf), LoadSettings(), threading.Event())
    other = LlamaBackend(model, ContextSettings(512, 1, 128, 64, 1, cache_type_k="q8_0"))
    try:
        assert other.generator is not None
        with pytest.raises(StateFailed, match="another model, or other cache types"):
            other.generator.restore(0, StateFile(tmp_path / "state"))
    finally:
        other.close()


def test_a_state_that_cannot_be_written_says_so(backend: LlamaBackend, context: Context, tmp_path: Path) -> None:
    prompt = tokens_of(backend, PROMPT)
    go_on(context, 0, 0, prompt, 1)
    with pytest.raises(FileNotFoundError):
        context.save(0, prompt, tmp_path / "no" / "folder")
    assert list(tmp_path.iterdir()) == []


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
