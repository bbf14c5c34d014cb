"""How much memory a model needs, before it is loaded.

Knows llama.cpp's scratch memory, roughly; its caches, exactly, from `runtime.memory`. Refuses to know what devices
there are and how much of it each would hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.gguf.summary import ModelInfo
from runtime.memory.sizes import MICRO_BATCH, Kept, cache_sizes, cells, choose_slots, keeps_state

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
    """What a launch with `context` tokens takes, with keys and values of `kv_type_bytes` each (2 for F16).

    kv_cache: for as many requests at once as a launch chooses; see `cache_sizes`.

    compute, a rough upper estimate for a micro batch of 512 tokens with flash attention:
        512 × 4 × (vocabulary + 4 × embedding + 2 × feed-forward) + 512 × context × 2
    the logits and the activations of one layer in F32, and the attention mask in F16. llama.cpp needs
    less, because not all of it lives at once: measured on two small llamas, 0.58 to 0.85 of it.
    """
    n_slots = choose_slots(context, keeps_state=keeps_state(info.layers))
    bits = 8 * kv_type_bytes
    kv_cache = sum(cache_sizes(info.layers, Kept(context, n_slots, bits_k=bits, bits_v=bits)))
    tokens = min(context, MICRO_BATCH)
    activations = 4 * (info.embedding_length or 0) + 2 * (info.feed_forward_length or 0)
    compute = tokens * 4 * ((info.vocabulary_size or 0) + activations) + tokens * cells(context) * 2
    return MemoryEstimate(info.weights_size, kv_cache, compute)


def contexts_of_interest(info: ModelInfo) -> tuple[int, ...]:
    """Context lengths worth an estimate: usual ones below the model's own, and its own; none if unknown."""
    if info.context_length is None:
        return ()
    return (*(context for context in _CONTEXTS if context < info.context_length), info.context_length)
