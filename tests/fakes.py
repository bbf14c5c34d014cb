"""The one fake: a backend at the engine's boundary, exact and instant.

Its model continues every prompt by counting: after token n comes n + 1, token 0 ends the generation, and each token is
written as its number and a space. The pool holds `n_ctx` cells; copied prefixes share theirs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.engine.errors import DecodeFailed
from runtime.engine.llama import BatchItem, ContextSettings, ModelFacts, PoolFull
from runtime.engine.types import Sampling

FACTS = ModelFacts(
    description="fake",
    size=1000,
    parameter_count=10,
    vocabulary_size=1000,
    n_ctx_train=1000,
    embedding_length=1,
    kv_bytes=1,
    keeps_partial_prefix=True,
    repacked=0,
    adds_bos=False,
    bos="",
    eos="",
    chat_template=None,
)


class FakeSampler:
    """Knows nothing; counts whether it was freed."""

    live = 0

    def __init__(self) -> None:
        FakeSampler.live += 1

    def close(self) -> None:
        FakeSampler.live -= 1


class FakeModel:
    """The counting model. Token `ends_at` ends a generation."""

    def __init__(self, ends_at: int = 0) -> None:
        self.facts = FACTS
        self.ends_at = ends_at
        self.closed = False

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(int(word) for word in text.split())

    def piece(self, token: int, *, special: bool = False) -> bytes:  # noqa: ARG002
        return f"{token} ".encode()

    def ends_generation(self, token: int) -> bool:
        return token == self.ends_at

    def new_sampler(self, sampling: Sampling, prompt: Sequence[int], n_ctx: int) -> FakeSampler:  # noqa: ARG002
        return FakeSampler()

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeContext:
    """A KV pool of `n_ctx` cells. `batches` records every batch; `fail_at` makes the batch with that number fail.

    `gate`, when given, is waited for before each batch: tests open it step by step.
    """

    n_ctx: int = 100
    n_slots: int = 4
    n_batch: int = 16
    n_ubatch: int = 8
    model: FakeModel = field(default_factory=FakeModel)
    fail_at: int | None = None
    gate: threading.Semaphore | None = None

    def __post_init__(self) -> None:
        self.settings = ContextSettings(self.n_ctx, self.n_slots, self.n_batch, self.n_ubatch, 1)
        self.held: list[list[tuple[int, object]]] = [[] for _ in range(self.n_slots)]
        self.batches: list[list[BatchItem]] = []
        self.closed = False

    def decode(self, items: Sequence[BatchItem]) -> dict[int, int]:
        if self.gate is not None:
            self.gate.acquire()
        self.batches.append(list(items))
        if self.fail_at == len(self.batches):
            for item in items:
                self.held[item.slot].clear()  # as if what was there had been lost
            raise DecodeFailed(-3, "a test said so")
        needed = sum(len(item.tokens) for item in items)
        if self.used() + needed > self.n_ctx:
            raise PoolFull
        outputs = {}
        for item in items:
            cells = self.held[item.slot]
            assert len(cells) == item.position, "positions must follow what the sequence holds"
            cells += [(token, object()) for token in item.tokens]
            if item.wants_logits:
                outputs[item.slot] = item.tokens[-1]
        return outputs

    def used(self) -> int:
        """Cells in use; shared ones count once."""
        return len({id(cell) for cells in self.held for _token, cell in cells})

    def sample(self, sampler: FakeSampler, output: int) -> int:  # noqa: ARG002
        return output + 1

    def keep_prefix(self, slot: int, length: int) -> bool:
        del self.held[slot][length:]
        return True

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        assert not self.held[target], "copies go into empty sequences"
        self.held[target] = self.held[source][:length]

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True
