"""The pool of llama.cpp itself, for each of its kinds of memory, on tiny models of random weights.

What counts is whether a sequence goes on as if its tokens had been computed alone: logits are compared, in full
precision, so that only what is in the memory can make a difference.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.engine.backend import BatchItem
from runtime.engine.llama.batch import Batch
from runtime.engine.llama.context import new_handle
from runtime.engine.llama.loading import load_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.settings import LoadSettings
from runtime.engine.weights import Adapter, Weights
from support.architectures import Architecture, write_model

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
        output = self._batch.fill(items)[items[-1].slot]
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
