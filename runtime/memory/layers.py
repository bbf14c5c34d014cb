"""What each layer of a model keeps in memory of the text so far.

Knows which layers attend to everything, which to a window, and which carry a state of fixed size;
also which of them share. Refuses to know how long the text is (`sizes.py`).

Source: llama.cpp's `llama_model::create_memory` and `load_hparams` (src/llama-model.cpp), the widths
`llama_hparams::n_embd_k_gqa`, `n_embd_r` and `n_embd_s` (src/llama-hparams.cpp), and each
architecture's `load_arch_hparams` (src/models/). Left out, because small: the key caches of sparse
attention's indexers. An architecture that is not named here counts as full attention in all layers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Fields(Protocol):
    """A GGUF's metadata, where `[llm]` stands for its architecture; None for what is not there."""

    architecture: str

    def number(self, key: str, *, least: int = 0) -> int | None: ...
    def numbers(self, key: str, count: int) -> tuple[int, ...] | None: ...
    def flags(self, key: str) -> tuple[bool, ...] | int | None: ...


class LayerCache(msgspec.Struct, frozen=True):
    """One layer's memory, in elements.

    key_width, value_width   kept of every token; 0 for layers without attention
    window                   tokens it looks back on; None for all
    state_width              kept once per sequence, however long it is (recurrent layers)
    """

    key_width: int
    value_width: int
    window: int | None
    state_width: int


MAX_LAYERS = 512  # LLAMA_MAX_LAYERS

# Encoders and diffusion models see the whole text at once and keep nothing.
ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
    }
)
_WITHOUT_CACHE = ENCODERS | {"dream", "llada", "llada-moe", "rnd1", "wavtokenizer-dec"}

# llm_arch_is_recurrent: no layer has attention.
_RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})

# Hybrids in which only every n-th layer has attention, with n when the file does not say.
_ATTENTION_INTERVAL = {"minimax-01": 8, "qwen35": 4, "qwen35moe": 4, "qwen3next": 4, "qwen4exp": 4}

# One of these keys: layers without attention heads are recurrent.
_RECURRENT_KEYS = ("[llm].ssm.state_size", "[llm].shortconv.l_cache", "[llm].kda.head_dim")

# Every n-th layer attends to all, the others to a window; n when the file does not say.
_WINDOW_PERIOD = {
    "afmoe": 4,
    "cohere2": 4,
    "cohere2moe": 4,
    "exaone-moe": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "laguna": 4,
    "llama4": 4,
    "mellum": 4,
    "muse-glimmer": 4,
    "olmo2": 4,
    "plamo3": 8,
    "smallthinker": 4,
}
# Of these, the first layer of a period attends to all; otherwise the last does.
_FULL_ATTENTION_FIRST = frozenset({"cohere2moe", "laguna", "smallthinker"})

# Tokens, when the file does not say; a 0 in the file means no window.
_DEFAULT_WINDOW = {"exaone-moe": 128, "gemma2": 4096, "llama4": 8192}

_GEMMA3N_LAYERS_WITH_CACHE = 20


class AttentionShape(msgspec.Struct, frozen=True):
    """The numbers that a cache's widths come from. Per layer where llama.cpp allows them to differ.

    Lengths are elements per head. `head_counts` and `kv_head_counts` have one number for each layer,
    the layers for multi-token prediction (at the end, and not run otherwise) included.
    """

    head_counts: tuple[int, ...]
    kv_head_counts: tuple[int, ...]
    key_length: int
    value_length: int


def attention_shape(fields: Fields, layers: int, embedding_length: int) -> AttentionShape:
    """Heads and their lengths, with llama.cpp's defaults for what the file leaves out."""
    if layers == 0:
        return AttentionShape((), (), 0, 0)
    heads = fields.numbers("[llm].attention.head_count", layers) or (0,) * layers
    kv_heads = fields.numbers("[llm].attention.head_count_kv", layers) or heads
    if heads[0] == 0:
        return AttentionShape(heads, kv_heads, 0, 0)
    default = embedding_length // heads[0]
    key_length = fields.number("[llm].attention.key_length")
    value_length = fields.number("[llm].attention.value_length")
    return AttentionShape(
        heads,
        kv_heads,
        default if key_length is None else key_length,
        default if value_length is None else value_length,
    )


def layer_caches(fields: Fields, shape: AttentionShape, embedding_length: int) -> tuple[LayerCache, ...]:
    """One for each layer that is run when text is generated; none for models that keep nothing."""
    if fields.architecture in _WITHOUT_CACHE:
        return ()
    layers = len(shape.head_counts)
    run = max(0, layers - (fields.number("[llm].nextn_predict_layers") or 0))
    with_attention = _layers_with_own_attention(fields, layers)
    recurrent = _recurrent_layers(fields, shape, layers)
    windowed = _windowed_layers(fields, layers)
    window = fields.number("[llm].attention.sliding_window")
    if window is None:
        window = _DEFAULT_WINDOW.get(fields.architecture)
    state_width = _state_width(fields, shape, embedding_length) if any(recurrent) else 0
    both = fields.architecture == "falcon-h1"

    caches = []
    for layer in range(run):
        in_window = bool(window) and windowed[layer]
        key_width, value_width = _widths(fields, shape, layer, in_window)
        if layer >= with_attention or (recurrent[layer] and not both):
            key_width = value_width = 0
        caches.append(
            LayerCache(key_width, value_width, window if in_window else None, state_width if recurrent[layer] else 0)
        )
    return tuple(caches)


def _widths(fields: Fields, shape: AttentionShape, layer: int, in_window: bool) -> tuple[int, int]:
    """Key and value elements per token. Latent attention (MLA) keeps one compressed row, as the key."""
    key_length, value_length = shape.key_length, shape.value_length
    if in_window:
        key_length = fields.number("[llm].attention.key_length_swa") or key_length
        value_length = fields.number("[llm].attention.value_length_swa") or value_length
    if fields.number("[llm].attention.key_length_mla") and fields.number("[llm].attention.value_length_mla"):
        value_length = 0
    heads = shape.kv_head_counts[layer]
    return key_length * heads, value_length * heads


def _layers_with_own_attention(fields: Fields, layers: int) -> int:
    """How many layers, from the first, have a cache; the rest read that of an earlier one."""
    if fields.architecture == "gemma3n":
        return _GEMMA3N_LAYERS_WITH_CACHE
    return max(0, layers - (fields.number("[llm].attention.shared_kv_layers") or 0))


def _recurrent_layers(fields: Fields, shape: AttentionShape, layers: int) -> tuple[bool, ...]:
    architecture = fields.architecture
    if architecture in _RECURRENT or architecture == "falcon-h1":
        return (True,) * layers
    if architecture in _ATTENTION_INTERVAL:
        stated = fields.flags("[llm].attention.recurrent_layers")
        if isinstance(stated, tuple):
            return _padded(stated, layers)
        interval = fields.number("[llm].full_attention_interval", least=1) or _ATTENTION_INTERVAL[architecture]
        return tuple((layer + 1) % interval != 0 for layer in range(layers))
    if all(fields.number(key) is None for key in _RECURRENT_KEYS):
        return (False,) * layers
    recurrent = tuple(heads == 0 for heads in shape.kv_head_counts)
    if architecture in ("nemotron_h", "nemotron_h_moe"):  # layers with a feed-forward have nothing else
        feed_forward = fields.numbers("[llm].feed_forward_length", layers) or (0,) * layers
        return tuple(r and width == 0 for r, width in zip(recurrent, feed_forward, strict=True))
    return recurrent


def _windowed_layers(fields: Fields, layers: int) -> tuple[bool, ...]:
    """Which layers look back on a window only: as the file says, else by architecture."""
    stated = fields.flags("[llm].attention.sliding_window_pattern")
    if isinstance(stated, tuple):
        return _padded(stated, layers)
    period = _WINDOW_PERIOD.get(fields.architecture)
    if period is None:
        return (False,) * layers
    if stated is not None:
        period = stated
    if period == 0:
        return (True,) * layers
    if fields.architecture in _FULL_ATTENTION_FIRST:
        return tuple(layer % period != 0 for layer in range(layers))
    return tuple(layer % period < period - 1 for layer in range(layers))


def _state_width(fields: Fields, shape: AttentionShape, embedding_length: int) -> int:
    """Elements of one recurrent layer's state: the last inputs of its convolution, and what it has learnt."""

    def number(key: str) -> int:
        return fields.number(key) or 0

    wkv = number("[llm].wkv.head_size")
    if wkv:
        shifts = fields.number("[llm].token_shift_count")
        return embedding_length * ((2 if shifts is None else shifts) + wkv)
    shortconv = number("[llm].shortconv.l_cache")
    if shortconv:
        return embedding_length * (shortconv - 1)
    heads = shape.head_counts[0]
    convolution = number("[llm].ssm.conv_kernel")
    kda = number("[llm].kda.head_dim")
    if kda:
        inputs = convolution - 1 if convolution else 3
        return 3 * inputs * heads * kda + kda * kda * heads
    if fields.architecture == "minimax-01":
        return shape.key_length * shape.key_length * heads
    inner, state, groups = (
        number("[llm].ssm.inner_size"),
        number("[llm].ssm.state_size"),
        number("[llm].ssm.group_count"),
    )
    return max(0, convolution - 1) * (inner + 2 * groups * state) + state * inner


def _padded(flags: tuple[bool, ...], layers: int) -> tuple[bool, ...]:
    return (flags + (False,) * layers)[:layers]
