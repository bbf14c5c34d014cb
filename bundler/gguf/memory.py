"""How much memory a model needs, before it is loaded, and the program around it.

Knows llama.cpp's scratch memory, roughly; its caches, exactly, from `runtime.memory`. Refuses to know what devices
there are and how much of it each would hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.gguf.summary import ModelInfo
from runtime.memory.sizes import MICRO_BATCH, Kept, cache_sizes, cells, choose_slots, keeps_state

_CONTEXTS = (2048, 8192, 32768, 131072)


PROGRAM = 48_000_000
"""Bytes that a launched program takes besides: measured with the demo model and stories260K, less what these take."""

SEEING = 12_000_000
"""Bytes that it takes beside a projector, for libmtmd and what decodes pictures: measured with the vision demo."""

_OF_A_TOKEN = 300
"""Bytes of each token of the vocabulary, in tables of llama.cpp's and of ours: measured, 275 (Gemma 3, without merges)
and 400 (SmolLM2, with them)."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes: the tensors, what is kept of the text, room to compute in, and what is known of the vocabulary."""

    weights: int
    kv_cache: int
    compute: int
    vocabulary: int

    @property
    def total(self) -> int:
        """Without the program, of which there is one for any number of models."""
        return self.weights + self.kv_cache + self.compute + self.vocabulary


def estimate_memory(info: ModelInfo, context: int, *, kv_type_bytes: float = 2.0) -> MemoryEstimate:
    """What a launch with `context` tokens takes, with keys and values of `kv_type_bytes` each (2 for F16).

    kv_cache: for as many requests at once as a launch chooses; see `cache_sizes`.

    compute, for a micro-batch of 512 tokens with flash attention on the processor:
        512 × 4 × (4 × embedding + 3 × feed-forward) + 512 × context × 2
    the activations of a layer in F32, and the attention mask in F16. Fitted to what llama.cpp allocates, as --explain
    tells it: six models from stories260K to Gemma 3 270M, contexts of 512 to 32,768, 0.87 to 1.02 of it.
    """
    n_slots = choose_slots(context, keeps_state=keeps_state(info.layers))
    bits = 8 * kv_type_bytes
    kv_cache = sum(cache_sizes(info.layers, Kept(context, n_slots, bits_k=bits, bits_v=bits)))
    tokens = min(context, MICRO_BATCH)
    activations = 4 * (info.embedding_length or 0) + 3 * (info.feed_forward_length or 0)
    compute = tokens * 4 * activations + tokens * cells(context) * 2
    return MemoryEstimate(info.weights_size, kv_cache, compute, (info.vocabulary_size or 0) * _OF_A_TOKEN)


def contexts_of_interest(info: ModelInfo) -> tuple[int, ...]:
    """Context lengths worth an estimate: usual ones below the model's own, and its own; none if unknown."""
    if info.context_length is None:
        return ()
    return (*(context for context in _CONTEXTS if context < info.context_length), info.context_length)
