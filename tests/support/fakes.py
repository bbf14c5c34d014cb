"""The one fake: a backend at the engine's boundary, exact and instant.

Its model continues every prompt by counting: after token n comes n + 1, token 0 ends the generation, and each token is
written as its number and a space. The pool holds `n_ctx` cells; copied prefixes share theirs. A text's vector is its
length and its sum.
"""

from __future__ import annotations

import itertools
import re
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runtime.engine.backend import BatchItem, Drafter, PoolFull, Sampled
from runtime.engine.errors import DecodeFailed, StateFailed
from runtime.engine.facts import ModelFacts
from runtime.engine.pieces import Piece, Prompt
from runtime.engine.placement import ON_THE_PROCESSOR, Placement
from runtime.engine.settings import ContextSettings
from runtime.engine.states import NOTHING_WARM, PartialState, SavedSequence, StateFile, Warmth
from runtime.engine.types import Sampling
from runtime.engine.weights import Adapter

FACTS = ModelFacts(
    description="fake",
    architecture="fake",
    quantization="F32",
    license="",
    size=1000,
    parameter_count=10,
    vocabulary_size=1000,
    n_ctx_train=1000,
    embedding_length=1,
    keeps_state=False,
    repacked=0,
    window=0,
    adds_bos=False,
    bos="",
    eos="",
    chat_template=None,
)


class FakeModel:
    """The counting model. Token `ends_at` ends a generation; after `wraps_at` comes 1 again."""

    def __init__(self, ends_at: int = 0, wraps_at: int | None = None, *, keeps_state: bool = False) -> None:
        self.facts = msgspec.structs.replace(FACTS, keeps_state=keeps_state)
        self.ends_at = ends_at
        self.wraps_at = wraps_at
        self.closed = False

    def after(self, token: int) -> int:
        return 1 if token == self.wraps_at else token + 1

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(int(word) for word in text.split())

    def check_room(self, n_bytes: int) -> None:
        pass

    def piece(self, token: int, *, special: bool = False) -> bytes:  # noqa: ARG002
        return f"{token} ".encode()

    def ends_generation(self, token: int) -> bool:
        return token == self.ends_at

    def rerank_prompt(self, query: str, document: str) -> tuple[int, ...]:
        return self.tokenize(f"{query} {document}", add_special=True, parse_special=False)


class FakeSampler:
    """Counts on from the token it is asked about; knows how many samplers were not freed."""

    live = 0

    def __init__(self, context: FakeContext) -> None:
        self._context = context
        FakeSampler.live += 1

    def sample(self, output: int) -> Sampled:
        return Sampled(self._context.model.after(self._context.computed[output]))

    def close(self) -> None:
        FakeSampler.live -= 1


class FakeEmbedder:
    """Takes `max_texts` texts of `max_batch` tokens together."""

    pooling = "mean"

    def __init__(self, max_texts: int, max_batch: int) -> None:
        self.max_texts = max_texts
        self.max_batch = max_batch
        self.batches: list[list[tuple[int, ...]]] = []

    def embed(
        self,
        texts: Sequence[tuple[int, ...]],
        scales: tuple[float, ...],  # noqa: ARG002
    ) -> tuple[tuple[array[float], ...], ...]:
        assert len(texts) <= self.max_texts
        assert sum(map(len, texts)) <= self.max_batch
        self.batches.append(list(texts))
        return tuple((array("f", [len(text), sum(text)]),) for text in texts)

    def embed_parts(self, text: Prompt, scales: tuple[float, ...]) -> tuple[array[float], ...]:
        return self.embed([text.tokens], scales)[0]


class FakeProjector:
    """Looks at a piece in `steps`, between which others may come, None: for as long as it is wanted; or fails."""

    sees, hears, sample_rate, line = True, False, 0, "It sees"

    def __init__(self, steps: int | None = 1, *, fails: bool = False) -> None:
        self.encoded: list[Piece] = []
        self.looks = 0
        self._steps = steps
        self._fails = fails

    def is_encoded(self, piece: Piece) -> bool:
        return piece in self.encoded

    def encode(self, piece: Piece, meanwhile: Callable[[], bool]) -> bool:
        assert piece not in self.encoded, "once is enough"
        if self._fails:
            raise DecodeFailed(-3, "a test said so")
        for _ in itertools.count() if self._steps is None else range(self._steps):
            self.looks += 1
            if not meanwhile():
                return False
        self.encoded.append(piece)
        return True


@dataclass
class FakeContext:
    """A backend and its generator: a KV pool of `n_ctx` cells.

    `batches` records every batch, `scales` what it was computed with; `fail_at` makes the batch with that number fail.
    `gate`, when given, is waited for before each batch: tests open it step by step.
    """

    n_ctx: int = 100
    n_slots: int = 4
    n_batch: int = 16
    n_ubatch: int = 8
    max_draft: int = 0
    model: FakeModel = field(default_factory=FakeModel)
    adapters: tuple[Adapter, ...] = ()
    placement: Placement = ON_THE_PROCESSOR
    scratch: tuple[tuple[str, int], ...] = ()
    warmth: Warmth = NOTHING_WARM
    drafter: Drafter | None = None
    looks_up: bool = True
    n_threads: int = 1
    fail_at: int | None = None
    gate: threading.Semaphore | None = None
    generates: bool = True
    projector: FakeProjector | None = None
    texts: FakeEmbedder = field(default_factory=lambda: FakeEmbedder(4, 16))

    def __post_init__(self) -> None:
        self.settings = ContextSettings(
            self.n_ctx,
            self.n_slots,
            self.n_batch,
            self.n_ubatch,
            1,
            max_draft=self.max_draft,
            looks_up=self.looks_up,
        )
        self.held: list[list[tuple[int, object]]] = [[] for _ in range(self.n_slots)]
        self.batches: list[list[BatchItem]] = []
        self.scales: list[tuple[float, ...]] = []
        self.computed: list[int] = []
        self.saved: dict[Path, tuple[PartialState, ...]] = {}
        self.closed = False

    @property
    def generator(self) -> FakeContext | None:
        return self if self.generates else None

    @property
    def longest_text(self) -> int:
        return self.texts.max_batch

    @property
    def embeds_pieces(self) -> bool:
        return self.projector is not None

    def embedder(self) -> FakeEmbedder:
        return self.texts

    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> FakeSampler:  # noqa: ARG002
        return FakeSampler(self)

    def decode(self, items: Sequence[BatchItem], scales: tuple[float, ...]) -> dict[int, int]:
        if self.gate is not None:
            self.gate.acquire()
        self.batches.append(list(items))
        self.scales.append(scales)
        if self.fail_at == len(self.batches):
            for item in items:
                self.held[item.slot].clear()  # as if what was there had been lost
            raise DecodeFailed(-3, "a test said so")
        needed = sum(len(item.tokens) for item in items)
        assert needed <= self.n_batch, "the batch is too large"
        if self.used() + needed > self.n_ctx:
            raise PoolFull
        self.computed = []
        outputs = {}
        for item in items:
            cells = self.held[item.slot]
            assert len(cells) == item.position, "positions must follow what the sequence holds"
            cells += [(token, object()) for token in item.tokens]
            self.computed += item.tokens
            if item.outputs:
                outputs[item.slot] = len(self.computed) - item.outputs
        return outputs

    def decode_next(self, tokens: Sequence[int], scales: tuple[float, ...]) -> range:
        before = self.batches[-1]
        assert all(len(item.tokens) == item.outputs == 1 for item in before), "each had one token"
        items = [
            BatchItem(item.slot, item.position + 1, (token,), 1) for item, token in zip(before, tokens, strict=True)
        ]
        self.decode(items, scales)
        return range(len(items))

    def used(self) -> int:
        """Cells in use; shared ones count once."""
        return len({id(cell) for cells in self.held for _token, cell in cells})

    def holds(self, slot: int, length: int) -> bool:
        held = len(self.held[slot])
        return held == length if self.model.facts.keeps_state else held >= length

    def keep_prefix(self, slot: int, length: int) -> bool:
        if self.model.facts.keeps_state and 0 < length < len(self.held[slot]):
            return False
        del self.held[slot][length:]
        return True

    def copy_prefix(self, source: int, target: int, length: int) -> bool:
        assert not self.held[target], "copies go into empty sequences"
        self.held[target] = self.held[source][:length]
        return True

    def checkpoint(self, slot: int) -> memoryview | None:
        return self.state(slot)

    def go_back(self, slot: int, length: int, checkpoint: memoryview) -> bool:
        tokens = [token for token, _cell in self.held[slot][:length]]
        assert tokens == list(checkpoint.cast("q")), "checkpoints are of what is there"
        del self.held[slot][length:]
        return True

    def state_size(self, slot: int) -> int:
        return 8 * len(self.held[slot])

    def state(self, slot: int) -> memoryview | None:
        return memoryview(array("q", [token for token, _cell in self.held[slot]])).cast("B")

    def set_state(self, slot: int, state: memoryview) -> bool:
        assert not self.held[slot], "states go into empty sequences"
        self.held[slot] = [(token, object()) for token in state.cast("q")[: self.n_ctx - self.used()]]
        return len(self.held[slot]) == len(state) // 8

    def save(self, slot: int, saved: SavedSequence, path: Path) -> int:
        assert [token for token, _cell in self.held[slot]] == list(saved.tokens)
        self.saved[path] = saved.checkpoints
        return path.write_text(" ".join(map(str, saved.tokens)))

    def saved_tokens(self, file: StateFile) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", file.path.read_text())))

    def saved_checkpoints(self, file: StateFile) -> tuple[int, ...]:
        return tuple(one.length for one in self.saved.get(file.path, ()))

    def restore(self, slot: int, file: StateFile) -> SavedSequence:
        assert not self.held[slot], "states go into empty sequences"
        try:
            tokens = tuple(map(int, file.path.read_text().split()))
        except ValueError as error:
            self.held[slot] = [(1, object())]  # as if a part had been read
            raise StateFailed(file.path, "a test said so") from error
        if self.used() + len(tokens) > self.n_ctx:
            raise StateFailed(file.path, "no room")
        self.held[slot] = [(token, object()) for token in tokens]
        return SavedSequence(tokens, self.saved.get(file.path, ()))

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True
