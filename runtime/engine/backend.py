"""What the engine needs of a model and its context: `llama.py` has it, and so has the tests' fake.

This is the engine's boundary; nothing above it knows llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runtime.engine.llama import BatchItem, ContextSettings, ModelFacts
from runtime.engine.sampler import Sampler
from runtime.engine.types import Sampling


class Backend(Protocol):
    """What the engine needs of a context: `llama.Context`, or a test's fake. Methods as there."""

    settings: ContextSettings
    n_ctx: int

    @property
    def model(self) -> BackendModel: ...
    def decode(self, items: list[BatchItem]) -> dict[int, int]: ...
    def sample(self, sampler: Sampler, output: int) -> int: ...
    def keep_prefix(self, slot: int, length: int) -> bool: ...
    def copy_prefix(self, source: int, target: int, length: int) -> None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class BackendModel(Protocol):
    """What the engine needs of a model: `llama.Model`, or a test's fake."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...
    def piece(self, token: int, *, special: bool = False) -> bytes: ...
    def ends_generation(self, token: int) -> bool: ...
    def new_sampler(self, sampling: Sampling, prompt: Sequence[int], n_ctx: int) -> Sampler: ...
    def close(self) -> None: ...
