"""How much memory a model needs, before it is loaded.

Knows llama.cpp's cache sizes exactly and its scratch memory roughly. Refuses to know what devices
there are and how much of it each would hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bundler.gguf.layers import LayerCache
from bundler.gguf.summary import ModelInfo

# Tokens that llama.cpp computes at once unless told otherwise: n_ubatch of llama_context_default_params.
MICRO_BATCH = 512

_CELL_MULTIPLE = 256  # caches are padded to it: src/llama-context.cpp, src/llama-kv-cache-iswa.cpp
_STATE_BYTES = 4  # recurrent states are F32: create_memory in src/llama-model.cpp
_CONTEXTS = (2048, 8192, 32768, 131072)


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes: the tensors, what is kept of the text, and room to compute in."""

    weights: int
    kv_cache: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute


def estimate_memory(info: ModelInfo, context: int, *, kv_type_bytes: float = 2.0) -> MemoryEstimate:
    """What one sequence of `context` tokens takes, with keys and values of `kv_type_bytes` each (2 for F16).

    kv_cache, the sum over all layers of
        (key_width + value_width) × cells × kv_type_bytes + state_width × 4
    where cells is the context; in a layer with a sliding window, at most the window plus one micro
    batch. Both are rounded up to 256. That is what `llama_kv_cache`, `llama_kv_cache_iswa` (without
    swa_full) and `llama_memory_recurrent` of llama.cpp allocate; the widths are in `layers.py`.

    compute, a rough upper estimate for a micro batch of 512 tokens with flash attention:
        512 × 4 × (vocabulary + 4 × embedding + 2 × feed-forward) + 512 × context × 2
    the logits and the activations of one layer in F32, and the attention mask in F16. llama.cpp needs
    less, because not all of it lives at once: measured on two small llamas, 0.58 to 0.85 of it.
    """
    kv_cache = sum(_layer_bytes(layer, context, kv_type_bytes) for layer in info.layers)
    tokens = min(context, MICRO_BATCH)
    activations = 4 * (info.embedding_length or 0) + 2 * (info.feed_forward_length or 0)
    compute = tokens * 4 * ((info.vocabulary_size or 0) + activations) + tokens * _cells(context) * 2
    return MemoryEstimate(info.weights_size, math.ceil(kv_cache), compute)


def contexts_of_interest(info: ModelInfo) -> tuple[int, ...]:
    """Context lengths worth an estimate: usual ones below the model's own, and its own; none if unknown."""
    if info.context_length is None:
        return ()
    return (*(context for context in _CONTEXTS if context < info.context_length), info.context_length)


def _layer_bytes(layer: LayerCache, context: int, kv_type_bytes: float) -> float:
    cells = _cells(context)
    if layer.window is not None:
        cells = min(cells, _cells(layer.window + MICRO_BATCH))
    return (layer.key_width + layer.value_width) * cells * kv_type_bytes + layer.state_width * _STATE_BYTES


def _cells(tokens: int) -> int:
    return -(-tokens // _CELL_MULTIPLE) * _CELL_MULTIPLE
