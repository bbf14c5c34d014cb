"""Texts into vectors: a llama_context of its own, so that the KV pool of running generations is not touched.

Knows pooling and what of a text must be computed at once: all of it, but for pictures and sounds, which llama.cpp takes
each by itself. It pools what is computed at once, and what comes of all parts is put together here. Used by one thread
only.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from operator import mul
from typing import Any

import msgspec

from runtime.engine.backend import BatchItem, Vectors
from runtime.engine.llama.batch import Batch
from runtime.engine.llama.context import Computing, Interrupt, check_computed, new_handle, use_adapters
from runtime.engine.llama.control import say_rope
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.projector import Projector
from runtime.engine.pieces import Piece, Prompt, position_after
from runtime.engine.settings import POOLINGS, Pooling, Rope
from runtime.engine.team import Team


class EmbedderSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens. `pooling` None: what the model says, or `fallback` if it says nothing."""

    n_batch: int
    n_texts: int
    n_threads: int
    pooling: Pooling | None = None
    fallback: Pooling = "mean"
    flash_attention: bool | None = None
    rope: Rope = Rope()


class LlamaEmbedder:
    """Computes up to `max_texts` texts, of `max_batch` tokens together, at once. Raises `ContextFailed` when made.

    Pieces are those of `projector`.
    """

    def __init__(
        self,
        model: LlamaModel,
        settings: EmbedderSettings,
        interrupt: Interrupt,
        team: Team,
        projector: Projector | None = None,
    ) -> None:
        self._model = model
        self._projector = projector
        self._lib = lib = model.lib
        self._handle = new_handle(model, _params(lib, settings, settings.pooling), settings.n_batch)
        self.pooling = self._pooling()
        if settings.pooling is None and self.pooling == "none":
            lib.llama_free(self._handle)
            self._handle = new_handle(model, _params(lib, settings, settings.fallback), settings.n_batch)
            self.pooling = settings.fallback
        self._interrupt = interrupt  # as `Context` keeps it
        interrupt.watch(self._handle)
        self._compute = Computing(lib, self._handle, team)
        self._memory = lib.llama_get_memory(self._handle)
        self._batch = Batch(lib, settings.n_batch)
        self.max_batch = settings.n_batch
        self.max_texts = settings.n_texts

    def embed(self, texts: Sequence[tuple[int, ...]], scales: tuple[float, ...]) -> tuple[Vectors, ...]:
        """The vectors of each text, in order, with the adapters at `scales`.

        Raises `EngineStopped` after `interrupt`, or `DecodeFailed`.
        """
        self._model.logs.clear()
        use_adapters(self._model, self._handle, scales)
        items = [BatchItem(slot, 0, text, outputs=len(text)) for slot, text in enumerate(texts)]
        starts = self._batch.fill(items)
        if self._memory:
            self._lib.llama_memory_clear(self._memory, False)
            code = self._compute(self._lib.llama_decode, self._batch.handle)
        else:
            code = self._compute(self._lib.llama_encode, self._batch.handle)
        check_computed(self._model, code)
        return tuple(self._vectors(slot, start, len(texts[slot])) for slot, start in starts.items())

    def embed_parts(self, text: Prompt, scales: tuple[float, ...]) -> Vectors:
        """The same of one text with pieces, which are encoded: `Backend.embeds_pieces`. Raises as `embed`.

        It is computed part by part, each looking at those before it.
        """
        self._model.logs.clear()
        use_adapters(self._model, self._handle, scales)
        self._lib.llama_memory_clear(self._memory, False)
        return pooled(self.pooling, list(self._parts(text)))

    def close(self) -> None:
        """Free the context."""
        self._lib.llama_free(self._handle)

    def _parts(self, text: Prompt) -> Iterator[tuple[int, Vectors]]:
        """For each part how many tokens it has, and its vectors."""
        start = 0
        for part in text.parts:
            tokens = part.tokens if isinstance(part, Piece) else part
            self._compute_part(part, position_after(text.tokens, start))
            yield len(tokens), self._vectors(0, 0, len(tokens))
            start += len(tokens)

    def _compute_part(self, part: tuple[int, ...] | Piece, position: int) -> None:
        if isinstance(part, Piece):
            eyes = self._projector
            assert eyes is not None, "pieces come of a projector"
            at_once = self.max_batch  # which a whole text has no more tokens than
            code = self._compute(
                lambda handle, piece: eyes.decode(handle, 0, position, piece, at_once, lambda: True), part
            )
        else:
            self._batch.fill([BatchItem(0, position, part, outputs=len(part))])
            code = self._compute(self._lib.llama_decode, self._batch.handle)
        check_computed(self._model, code)

    def _vectors(self, slot: int, start: int, n_tokens: int) -> Vectors:
        lib = self._lib
        if self.pooling == "none":
            width = lib.llama_model_n_embd_out(self._model.handle)
            rows = (lib.llama_get_embeddings_ith(self._handle, start + i) for i in range(n_tokens))
            return tuple(array("f", row[:width]) for row in rows)
        if self.pooling == "rank":
            width = lib.llama_model_n_cls_out(self._model.handle)
        else:
            width = lib.llama_model_n_embd_out(self._model.handle)
        return (array("f", lib.llama_get_embeddings_seq(self._handle, slot)[:width]),)

    def _pooling(self) -> Pooling:
        number: int = self._lib.llama_pooling_type(self._handle)
        return POOLINGS[number]


def pooled(pooling: Pooling, parts: Sequence[tuple[int, Vectors]]) -> Vectors:
    """The vectors of a text of which each part, of so many tokens, has been pooled by itself."""
    if pooling == "none":
        return tuple(row for _n, rows in parts for row in rows)
    if pooling == "mean":
        n_tokens = sum(n for n, _vectors in parts)
        columns = zip(*(vector for _n, (vector,) in parts), strict=True)
        weights = [n / n_tokens for n, _vectors in parts]
        return (array("f", (math.fsum(map(mul, weights, column)) for column in columns)),)
    _n, vectors = parts[0 if pooling == "cls" else -1]
    return vectors


def _params(lib: Any, settings: EmbedderSettings, pooling: Pooling | None) -> Any:
    params = lib.llama_context_default_params()
    # Everything at once: attention in both directions, and pooling, see a micro-batch only.
    params.n_ctx = params.n_batch = params.n_ubatch = settings.n_batch
    params.n_seq_max = settings.n_texts
    params.n_threads = params.n_threads_batch = settings.n_threads
    params.embeddings = True
    say_rope(params, settings.rope)
    params.kv_unified = True
    flash = settings.flash_attention
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_AUTO if flash is None else int(flash)
    params.pooling_type = -1 if pooling is None else POOLINGS.index(pooling)
    return params
