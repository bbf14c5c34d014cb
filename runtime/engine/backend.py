"""What the engine needs of a model: `llama/` has it, and so has the tests' fake.

This is the engine's boundary: what is asked across it, and what crosses it with every batch. Nothing above knows
llama.cpp. What a model is made with and says of itself is in `settings.py`, `placement.py` and `facts.py`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from runtime.engine.facts import ModelFacts
from runtime.engine.pieces import Piece, Prompt, Seen
from runtime.engine.placement import Placement
from runtime.engine.settings import ContextSettings, Pooling
from runtime.engine.states import SavedSequence, StateFile, Warmth
from runtime.engine.types import Probabilities, Sampling
from runtime.engine.weights import Adapter, Weights


class BatchItem(msgspec.Struct, frozen=True):
    """`tokens` of the sequence in `slot`, at positions from `position` on; logits after the last `outputs` of them.

    Positions are what a memory counts in. A text has as many as tokens, a picture may have fewer.
    """

    slot: int
    position: int
    tokens: tuple[int, ...]
    outputs: int


class Pixels(msgspec.Struct, frozen=True):
    """A picture: `width` times `height` of them, row by row from the top, 3 bytes each: red, green, blue.

    `digest` tells pictures apart: 32 bytes, of the file that it was read from.
    """

    digest: bytes
    width: int
    height: int
    data: bytes


class Samples(msgspec.Struct, frozen=True):
    """A sound: `data` has 32-bit floats from -1 to 1, as many a second as the projector's `sample_rate`; one channel.

    `digest` tells sounds apart: 32 bytes, of the file that it was read from.
    """

    digest: bytes
    data: bytes


class Projector(Protocol):
    """What a model sees and hears with. Methods as in `llama/projector.py`; any thread may ask, one only `encode`."""

    @property
    def sees(self) -> bool: ...
    @property
    def hears(self) -> bool: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def line(self) -> str: ...
    def seen(self, digest: bytes) -> Seen | None: ...
    def see(self, picture: Pixels) -> Seen: ...
    def hear(self, sound: Samples) -> Seen: ...
    def is_encoded(self, piece: Piece) -> bool: ...
    def encode(self, piece: Piece, meanwhile: Callable[[], bool]) -> bool: ...


Vectors = tuple["array[float]", ...]
"""One vector of 32-bit floats for a text; with pooling `none`, one for each of its tokens; with `rank`, its scores."""


class Embedded(msgspec.Struct, frozen=True):
    """The vectors of each text, in order, and how they came to be one for each text, if they are."""

    vectors: tuple[Vectors, ...]
    pooling: Pooling


class PoolFull(Exception):
    """No room in the KV pool for the batch; nothing of it was computed."""


class Sampled(msgspec.Struct, frozen=True):
    """A sampled token, and the probabilities it was one of where they were asked for."""

    token: int
    probabilities: Probabilities | None = None


class Sampler(Protocol):
    """Chooses the tokens of one sequence, and remembers them. Methods as in `llama/sampler.py`."""

    def sample(self, output: int) -> Sampled: ...
    def close(self) -> None: ...


class Model(Protocol):
    """Loaded weights and their vocabulary. Methods as in `llama/model.py`; any thread may ask."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...
    def check_room(self, n_bytes: int) -> None: ...
    def piece(self, token: int, *, special: bool = False) -> bytes: ...
    def ends_generation(self, token: int) -> bool: ...
    def rerank_prompt(self, query: str, document: str) -> tuple[int, ...]: ...


class Generator(Protocol):
    """A KV pool and what is computed in it. Methods as in `llama/context.py`; one thread only, but `write`."""

    @property
    def n_ctx(self) -> int: ...
    @property
    def settings(self) -> ContextSettings: ...
    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> Sampler: ...
    def decode(self, items: Sequence[BatchItem], scales: tuple[float, ...]) -> dict[int, int]: ...
    def decode_next(self, tokens: Sequence[int], scales: tuple[float, ...]) -> range: ...
    def decode_piece(
        self,
        slot: int,
        position: int,
        piece: Piece,
        scales: tuple[float, ...],
        at_once: int,
        meanwhile: Callable[[], bool],
    ) -> bool: ...
    def holds(self, slot: int, length: int) -> bool: ...
    def keep_prefix(self, slot: int, length: int) -> bool: ...
    def copy_prefix(self, source: int, target: int, length: int) -> bool: ...
    def checkpoint(self, slot: int) -> memoryview | None: ...
    def go_back(self, slot: int, length: int, checkpoint: memoryview) -> bool: ...
    def state_size(self, slot: int) -> int: ...
    def state(self, slot: int) -> memoryview | None: ...
    def set_state(self, slot: int, state: memoryview) -> bool: ...
    def save(self, slot: int, saved: SavedSequence, path: Path) -> int: ...
    def write(self, state: memoryview, saved: SavedSequence, path: Path) -> int: ...
    def saved_tokens(self, file: StateFile) -> tuple[int, ...]: ...
    def saved_checkpoints(self, file: StateFile) -> tuple[int, ...]: ...
    def restore(self, slot: int, file: StateFile) -> SavedSequence: ...


class Drafter(msgspec.Struct, frozen=True):
    """A model that guesses what another one says next, with a pool of its own for as many sequences.

    It was loaded from `weights`.
    """

    weights: Weights
    model: Model
    context: Generator


class Embedder(Protocol):
    """Turns texts into vectors, many at once. Methods as in `llama/embedder.py`; one thread only, but `interrupt`."""

    @property
    def pooling(self) -> Pooling: ...
    @property
    def max_texts(self) -> int: ...
    @property
    def max_batch(self) -> int: ...
    def embed(self, texts: Sequence[tuple[int, ...]], scales: tuple[float, ...]) -> tuple[Vectors, ...]: ...
    def embed_parts(self, text: Prompt, scales: tuple[float, ...]) -> Vectors: ...


class Backend(Protocol):
    """A model, and what it can be asked for: text, vectors, or both.

    `generator` is None for a model that only makes vectors. `adapters` can be applied to either. `placement` says where
    it computes, `scratch` how many bytes computing takes besides weights and context, by the name of each memory.
    `warmth` is what need not be computed any more; `drafter` guesses for the generator. `n_threads` compute now.
    `projector` None: it does not see or hear.
    `longest_text` in tokens is the longest that can be turned into a vector; with `embeds_pieces`, pictures and sounds
    among them.
    """

    @property
    def model(self) -> Model: ...
    @property
    def generator(self) -> Generator | None: ...
    @property
    def projector(self) -> Projector | None: ...
    @property
    def adapters(self) -> tuple[Adapter, ...]: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def scratch(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def warmth(self) -> Warmth: ...
    @property
    def drafter(self) -> Drafter | None: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def longest_text(self) -> int: ...
    @property
    def embeds_pieces(self) -> bool: ...
    def embedder(self) -> Embedder: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
