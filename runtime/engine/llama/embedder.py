"""Texts into vectors: a llama_context of its own, so that the KV pool of running generations is not touched.

Knows pooling and what of a text must be computed at once. Used by one thread only.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.engine.backend import BatchItem, Vectors
from runtime.engine.llama.batch import Batch
from runtime.engine.llama.context import Computing, Interrupt, check_computed, new_handle, use_adapters
from runtime.engine.llama.control import say_rope
from runtime.engine.llama.model import LlamaModel
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
    """Computes up to `max_texts` texts, of `max_batch` tokens together, at once. Raises `ContextFailed` when made."""

    def __init__(self, model: LlamaModel, settings: EmbedderSettings, interrupt: Interrupt, team: Team) -> None:
        self._model = model
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

    def close(self) -> None:
        """Free the context."""
        self._lib.llama_free(self._handle)

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
