"""How many bytes llama.cpp allocates for what layers keep, and how many requests at once that is for.

Pure arithmetic. Refuses to know weights, and what is computed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.memory.layers import LayerCache

MICRO_BATCH = 512
"""Tokens that llama.cpp computes at once unless told otherwise: n_ubatch of `llama_context_default_params`."""

_CELL_MULTIPLE = 256  # caches are padded to it: src/llama-context.cpp, src/llama-kv-cache-iswa.cpp
_STATE_BYTES = 4  # recurrent states are F32: create_memory in src/llama-model.cpp


class Kept(msgspec.Struct, frozen=True):
    """What is kept: `n_ctx` tokens, shared by `n_slots` sequences, computed `n_ubatch` at once.

    K and V have so many bits a value. `swa_full`: layers with a window keep all tokens, too.
    """

    n_ctx: int
    n_slots: int = 1
    n_ubatch: int = MICRO_BATCH
    swa_full: bool = False
    bits_k: float = 16
    bits_v: float = 16


def cache_sizes(layers: Sequence[LayerCache], kept: Kept) -> tuple[int, ...]:
    """Bytes of each layer:

        (key_width × bits_k + value_width × bits_v) / 8 × cells + state_width × 4 × slots

    where cells is the context; in a layer with a sliding window, at most the windows of all slots and one micro-batch.
    Both are rounded up to 256. That is what `llama_kv_cache`, `llama_kv_cache_iswa` with a unified pool and
    `llama_memory_recurrent` of llama.cpp allocate.
    """
    return tuple(_layer_bytes(layer, kept) for layer in layers)


MOST_SLOTS = 16
MOST_STATES = 4
"""Requests at once unless told otherwise; fewer where each needs a state of its own, which is memory."""

WORTHWHILE_SLOT = 512
"""Tokens of context that a request should find; the pool is shared, so this is no bound on what it may take."""


def choose_slots(n_ctx: int, *, keeps_state: bool) -> int:
    """How many requests run at once: enough for many clients, as far as the context goes round."""
    return max(1, min(MOST_STATES if keeps_state else MOST_SLOTS, n_ctx // WORTHWHILE_SLOT))


def keeps_state(layers: Sequence[LayerCache]) -> bool:
    """Whether a sequence has a state of its own, whatever its length."""
    return any(layer.state_width for layer in layers)


def cells(tokens: int) -> int:
    """What `tokens` take in a cache, rounded up as llama.cpp does."""
    return -(-tokens // _CELL_MULTIPLE) * _CELL_MULTIPLE


def _layer_bytes(layer: LayerCache, kept: Kept) -> int:
    n = cells(kept.n_ctx)
    if layer.window is not None and not kept.swa_full:
        n = min(n, cells(layer.window * kept.n_slots + kept.n_ubatch))
    bits = layer.key_width * kept.bits_k + layer.value_width * kept.bits_v
    return round(bits * n / 8) + layer.state_width * _STATE_BYTES * kept.n_slots
