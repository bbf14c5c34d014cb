"""What llama.cpp does with each kind of memory: the facts on which the cache of prefixes relies, asked of the library.

Each is asked of a tiny model of random weights. What counts is whether a sequence goes on as if its tokens had been
computed alone: logits are compared, in full precision, so that only what is in the memory can make a difference.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.architectures import WINDOW, Architecture, write_lora, write_model

from runtime.engine.backend import Adapter, BatchItem, ContextSettings, LoadSettings, StateFile, Weights
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.batch import Batch
from runtime.engine.llama.context import Context, Interrupt, new_handle
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.states import restore_state, save_state
from runtime.engine.types import Sampling

GENERATING = [one for one in Architecture if one is not Architecture.RERANKER]
CELLS, SLOTS, BATCH, MICRO_BATCH = 1024, 4, 256, 64
NOISE, DAMAGE = 1e-3, 0.1
"""Logits: rounding makes 1e-5 of a difference, a single missing cell 1 and more."""

_chance = random.Random(1)
TEXT = tuple(_chance.randrange(10, 1200) for _ in range(420))
OTHER = tuple(_chance.randrange(10, 1200) for _ in range(250))


class Refused(Exception):
    """`code` is what llama_decode returned; 1 means that no room was found."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Pool:
    """A context like the engine's, but in full precision, and with a window's cells kept as `swa_full` says."""

    def __init__(
        self, architecture: Architecture, model: LlamaModel, *, swa_full: bool = True, rollback: int = 0
    ) -> None:
        self.architecture = architecture
        self._lib = lib = model.lib
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = CELLS, BATCH, MICRO_BATCH, SLOTS
        params.n_threads = params.n_threads_batch = 1
        params.type_k = params.type_v = lib.GGML_TYPE_F32
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.kv_unified = True
        params.swa_full = swa_full
        params.n_rs_seq = rollback
        self.handle = new_handle(model, params, CELLS)
        self._memory = lib.llama_get_memory(self.handle)
        self._batch = Batch(lib, BATCH)
        self._n_vocab = model.facts.vocabulary_size

    def close(self) -> None:
        self._lib.llama_free(self.handle)

    def can_shift(self) -> bool:
        return bool(self._lib.llama_memory_can_shift(self._memory))

    def span(self, slot: int) -> tuple[int, int]:
        """The first and the last position of a sequence; (-1, -1) of an empty one."""
        lib, memory = self._lib, self._memory
        return lib.llama_memory_seq_pos_min(memory, slot), lib.llama_memory_seq_pos_max(memory, slot)

    def cut(self, slot: int, length: int) -> bool:
        return bool(self._lib.llama_memory_seq_rm(self._memory, slot, length, -1))

    def copy(self, source: int, target: int, length: int = -1) -> None:
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def decode(self, *items: BatchItem) -> list[float]:
        """The logits after the last token of the last of `items`, which are one batch. Raises `Refused`."""
        self._batch.clear()
        output = [self._batch.add(item.slot, item.position, item.tokens, 1) for item in items][-1]
        if code := self._lib.llama_decode(self.handle, self._batch.handle):
            raise Refused(code)
        return list(self._lib.llama_get_logits_ith(self.handle, output)[: self._n_vocab])

    def fill(self, slot: int, tokens: tuple[int, ...], position: int = 0) -> None:
        for start in range(0, len(tokens), MICRO_BATCH):
            self.decode(BatchItem(slot, position + start, tokens[start : start + MICRO_BATCH], 1))

    def go_on(self, slot: int, position: int, n: int = 8) -> Continuation:
        """Add a token that was not there before, and after it the likeliest ones."""
        token, said, logits = OTHER[-1], [], []
        for place in range(position, position + n):
            logits.append(self.decode(BatchItem(slot, place, (token,), 1)))
            token = max(range(self._n_vocab), key=logits[-1].__getitem__)
            said.append(token)
        return Continuation(tuple(said), logits)


@dataclass(frozen=True)
class Continuation:
    """The likeliest tokens, and the logits of each."""

    tokens: tuple[int, ...]
    logits: list[list[float]]

    def differs(self, other: Continuation) -> float:
        """The largest difference of any logit, while both say the same tokens."""
        largest = 0.0
        for mine, its, token, its_token in zip(self.logits, other.logits, self.tokens, other.tokens, strict=True):
            largest = max(largest, *(abs(a - b) for a, b in zip(mine, its, strict=True)))
            if token != its_token:
                break
        return largest


class Library:
    """The models, loaded when they are needed, and what their texts go on with when they are computed alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[Architecture, LlamaModel] = {}
        self._known: dict[tuple[Architecture, tuple[int, ...]], Continuation] = {}
        self._pools: list[Pool] = []

    def model(self, architecture: Architecture) -> LlamaModel:
        if architecture not in self._models:
            self._models[architecture] = load(write_model(self._folder / architecture.value, architecture))
        return self._models[architecture]

    def pool(self, architecture: Architecture, **options: Any) -> Pool:
        self._pools.append(Pool(architecture, self.model(architecture), **options))
        return self._pools[-1]

    def alone(self, architecture: Architecture, tokens: tuple[int, ...]) -> Continuation:
        """How `tokens` go on in a pool where nothing else has ever been."""
        key = architecture, tokens
        if key not in self._known:
            pool = self.pool(architecture)
            pool.fill(0, tokens)
            self._known[key] = pool.go_on(0, len(tokens))
        return self._known[key]

    def close(self) -> None:
        for pool in self._pools:
            pool.close()
        for model in self._models.values():
            model.close()


def load(path: Path, *adapters: Adapter) -> LlamaModel:
    return load_model(Weights(path), LoadSettings(), threading.Event(), adapters)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp("models"))
    yield library
    library.close()


# -- the models -----------------------------------------------------------------------------------------------


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


# -- what each memory can do ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """Of a sequence of 100 tokens, unless said otherwise.

    `begins` is the first position that it still has, and `begins_later` that of one of 400 tokens. `cuts` tells
    whether its end can be dropped. A copy of its first 50 tokens has the positions `half_span`, and goes on "right",
    "wrong", or not at all: "refused".
    """

    can_shift: bool
    begins: int
    begins_later: int
    cuts: bool
    half_span: tuple[int, int]
    half: str


FACTS = {
    (Architecture.ATTENTION, True): Facts(True, 0, 0, True, (0, 49), "right"),
    (Architecture.SLIDING_WINDOW, True): Facts(True, 0, 0, True, (0, 49), "right"),
    (Architecture.SLIDING_WINDOW, False): Facts(False, 0, 144, True, (0, 49), "right"),
    (Architecture.RECURRENT, True): Facts(True, 99, 399, False, (99, 99), "refused"),
    (Architecture.HYBRID, True): Facts(True, 99, 399, False, (99, 49), "wrong"),
}
"""By architecture and `swa_full`, which makes a difference only where there is a window."""

of_each_memory = pytest.mark.parametrize(
    ("architecture", "swa_full"), FACTS, ids=[f"{one.name}{'' if full else '_SPARSE'}" for one, full in FACTS]
)


def goes_on(library: Library, pool: Pool, slot: int, tokens: tuple[int, ...]) -> str:
    """How `slot` goes on after `tokens`, which it should hold, compared with them computed alone."""
    try:
        continuation = pool.go_on(slot, len(tokens))
    except Refused as refused:
        assert refused.code == -1
        return "refused"
    difference = continuation.differs(library.alone(pool.architecture, tokens))
    assert difference < NOISE or difference > DAMAGE, difference
    return "right" if difference < NOISE else "wrong"


@of_each_memory
def test_what_a_memory_can_do(library: Library, architecture: Architecture, swa_full: bool) -> None:
    facts = FACTS[architecture, swa_full]
    pool = library.pool(architecture, swa_full=swa_full)
    assert pool.can_shift() is facts.can_shift
    assert pool.span(0) == (-1, -1)
    pool.fill(0, TEXT[:400])
    assert pool.span(0) == (facts.begins_later, 399)
    assert pool.cut(0, 0), "all can be dropped of any"
    assert pool.span(0) == (-1, -1)
    pool.fill(0, TEXT[:100])
    assert pool.span(0) == (facts.begins, 99)
    pool.copy(0, 1, 50)
    assert pool.span(1) == facts.half_span
    assert goes_on(library, pool, 1, TEXT[:50]) == facts.half
    assert goes_on(library, pool, 0, TEXT[:100]) == "right", "the copy did nothing to its source"


@pytest.mark.parametrize("length", [1, 50, 99, 100])
@of_each_memory
def test_a_cut_sequence_goes_on(library: Library, architecture: Architecture, swa_full: bool, length: int) -> None:
    """Where its end cannot be dropped, nothing is when that is tried."""
    pool = library.pool(architecture, swa_full=swa_full)
    pool.fill(0, TEXT[:100])
    cut = pool.cut(0, length)
    assert cut is (FACTS[architecture, swa_full].cuts or length == 100)
    left = length if cut else 100
    assert pool.span(0)[1] == left - 1
    assert goes_on(library, pool, 0, TEXT[:left]) == "right"


@of_each_memory
def test_a_whole_copy_and_its_source_go_on(library: Library, architecture: Architecture, swa_full: bool) -> None:
    """What one of them adds does not show in the others."""
    pool = library.pool(architecture, swa_full=swa_full)
    pool.fill(0, TEXT[:100])
    pool.copy(0, 1, 100)
    pool.copy(0, 2)
    assert pool.span(1) == pool.span(2) == pool.span(0)
    pool.fill(1, OTHER[:30], 100)
    assert goes_on(library, pool, 0, TEXT[:100]) == "right"
    assert goes_on(library, pool, 2, TEXT[:100]) == "right"
    assert goes_on(library, pool, 1, TEXT[:100] + OTHER[:30]) == "right"


@of_each_memory
def test_a_restored_state_goes_on(library: Library, architecture: Architecture, swa_full: bool, tmp_path: Path) -> None:
    pool = library.pool(architecture, swa_full=swa_full)
    lib = library.model(architecture).lib
    pool.fill(0, TEXT[:400])
    save_state(lib, pool.handle, bytes(32), 0, TEXT[:400], tmp_path / "state")
    assert restore_state(lib, pool.handle, bytes(32), 1, StateFile(tmp_path / "state")) == TEXT[:400]
    assert goes_on(library, pool, 1, TEXT[:400]) == "right"


@of_each_memory
def test_a_batch_without_room_leaves_no_trace(library: Library, architecture: Architecture, swa_full: bool) -> None:
    pool = library.pool(architecture, swa_full=swa_full)
    for slot in range(3):
        pool.fill(slot, TEXT[:300])
    more, too_much = BatchItem(0, 300, OTHER[:10], 1), BatchItem(3, 0, OTHER[:200], 1)
    if architecture is Architecture.RECURRENT:
        pool.decode(more, too_much)  # a state is as large after any text
        return
    with pytest.raises(Refused, match="1"):
        pool.decode(more, too_much)
    assert pool.span(0)[1] == 299
    assert pool.span(3) == (-1, -1)
    assert goes_on(library, pool, 0, TEXT[:300]) == "right"


def test_a_hybrid_can_be_asked_to_go_back_some_tokens(library: Library) -> None:
    """With `n_rs_seq` states kept besides the last, once after each batch. Mamba's first version cannot."""
    pool = library.pool(Architecture.HYBRID, rollback=8)
    pool.fill(0, TEXT[:100])
    assert not pool.cut(0, 91)
    assert pool.cut(0, 92)
    assert not pool.cut(0, 91)
    assert goes_on(library, pool, 0, TEXT[:92]) == "right"
    pool = library.pool(Architecture.RECURRENT, rollback=8)
    pool.fill(0, TEXT[:100])
    assert not pool.cut(0, 99)


# -- the window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_copy", [False, True], ids=["cut", "copied"])
def test_a_prefix_goes_on_while_its_window_is_there(library: Library, by_copy: bool) -> None:
    """The next token, at position `length`, sees itself and `WINDOW` - 1 before it (`is_masked_swa`).

    So the first position must be `length` - `WINDOW` + 1 at most, or 0. Else the library goes on, wrongly, and says
    nothing. llama-server asks for two positions more than that (server-context.cpp, `pos_min_thold`).
    """
    pool = library.pool(Architecture.SLIDING_WINDOW, swa_full=False)
    pool.fill(0, TEXT[:400])
    first, _last = pool.span(0)
    assert first > WINDOW
    for length in range(first - 1, first + WINDOW + 3):
        assert pool.cut(0, 0)
        assert pool.cut(1, 0)
        pool.fill(0, TEXT[:400])
        assert pool.span(0) == (first, 399)
        if by_copy:
            pool.copy(0, 1, length)
        else:
            assert pool.cut(0, length)
        went_on = goes_on(library, pool, int(by_copy), TEXT[:length])
        assert went_on == ("right" if first <= max(0, length - WINDOW + 1) else "wrong"), length - first


def test_a_window_s_cells_are_taken_while_others_are_free(library: Library) -> None:
    """Even with `swa_full`: a search for cells takes those that no token to come can see, as well as empty ones."""
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(0, TEXT[:100])
    pool.fill(1, TEXT[:100])
    pool.cut(0, 50)  # the search goes on from here
    pool.fill(1, TEXT[100:250], 100)
    assert pool.span(0) == (0, 49)
    assert pool.span(1) == (100, 249), "and 724 of 1,024 cells are empty"
    assert goes_on(library, pool, 1, TEXT[:250]) == "right"


def test_cells_that_are_shared_are_not_taken(library: Library) -> None:
    """Which protects them where all cells are kept, and fills a smaller memory of windows to the brim."""
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(0, TEXT[:100])
    pool.fill(1, TEXT[:100])
    pool.copy(1, 2)
    pool.cut(0, 50)
    pool.fill(1, TEXT[100:250], 100)
    assert pool.span(1) == (0, 249)
    sparse = library.pool(Architecture.SLIDING_WINDOW, swa_full=False)
    sparse.fill(0, TEXT[:246])
    sparse.copy(0, 1)
    with pytest.raises(Refused, match="1"):
        sparse.fill(1, TEXT[246:260], 246)
    sparse.cut(0, 0)
    sparse.fill(1, TEXT[246:260], 246)


def test_a_rejected_guess_may_have_cost_the_window(library: Library) -> None:
    """A prompt in the same batch takes cells that the tokens after the guess would not see, but those before it do.

    After the guess has been dropped, the first position tells.
    """
    pool = library.pool(Architecture.SLIDING_WINDOW)
    pool.fill(2, TEXT[:50])
    pool.fill(0, TEXT[:100])
    pool.cut(2, 0)
    pool.decode(BatchItem(0, 100, OTHER[:9], 1), BatchItem(1, 0, TEXT[100:300], 1))
    assert pool.cut(0, 101)
    first, last = pool.span(0)
    assert last == 100
    assert first > 101 - WINDOW + 1
    assert goes_on(library, pool, 0, TEXT[:100] + OTHER[:1]) == "wrong"


# -- what the engine makes of it ------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", GENERATING)
def test_what_the_engine_holds_goes_on(library: Library, architecture: Architecture) -> None:
    """`Context.holds` promises nothing that is not there, and at most one length less than there is."""
    model = library.model(architecture)
    settings = ContextSettings(CELLS, SLOTS, BATCH, MICRO_BATCH, 1, False, cache_type_k="f32", cache_type_v="f32")
    context = Context(model, settings, Interrupt(model.lib))
    refill(context)
    held = [length for length in range(1, 260) if context.holds(1, length)]
    for length in held[:3] + held[-3:]:
        refill(context)
        assert context.holds(1, length)
        context.copy_prefix(1, 2, length)
        assert go_on(context, 2, length, OTHER[-1:]) == library.alone(architecture, TEXT[:length]).tokens
    shortest = {Architecture.ATTENTION: 1, Architecture.SLIDING_WINDOW: 50 + WINDOW - 1}.get(architecture, 250)
    assert shortest <= held[0] <= shortest + 1
    assert held == list(range(held[0], 251))
    context.close()


def refill(context: Context) -> None:
    """Let slot 1 hold 250 tokens. What a window held of the first 50 is gone: its cells have been taken."""
    for slot in range(SLOTS):
        context.keep_prefix(slot, 0)
    context.decode([BatchItem(0, 0, TEXT[:100], 1), BatchItem(1, 0, TEXT[:100], 1)], ())
    context.keep_prefix(0, 0)
    context.decode([BatchItem(1, 100, TEXT[100:250], 1)], ())
