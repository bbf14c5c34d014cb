"""Tiny models of random weights, one for each kind of memory that llama.cpp has, and a mixture of experts.

Knows llama.cpp's names of keys and tensors (src/llama-arch.cpp), which of them it asks for (src/models/*.cpp). What
the models say means nothing: the weights are noise, the same each time, so scaled that greedy continuations vary and
depend on what the memory holds.
"""

from __future__ import annotations

import random
import string
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from bundler.gguf.header import ArrayValue
from bundler.gguf.reader import read_gguf
from support.bundles import DEMO_GGUF
from support.ggufs import INT32, STRING, Array, Meta, TensorSpec, tensor_info, value
from support.ggufs import string as gguf_string

WINDOW = 16
"""How many tokens a token sees in a layer with a window, itself included."""

WIDTH = 32
_CONTEXT = 2048
_WIDTH, HIDDEN, _HEADS, _KV_HEADS = WIDTH, 64, 4, 2
_KV_WIDTH = _WIDTH // _HEADS * _KV_HEADS
_INNER, _STATE, _KERNEL, _STEP_RANK = 2 * _WIDTH, 16, 4, 2
_POSITIONS = 128
_RANK_POOLING = 4  # LLAMA_POOLING_TYPE_RANK
_ALIGNMENT = 32
_PEAKED = 1.7
"""Gain of queries and keys, with which a few tokens matter to each, and not the mean of all."""


class Architecture(Enum):
    """What a model keeps of its text. The values are the names that GGUFs give them."""

    ATTENTION = "llama"
    """A cell for each token."""
    SECTIONS = "qwen2vl"
    """The same; a place has several numbers (M-RoPE), and a picture's cells go on in some of them only."""
    SLIDING_WINDOW = "gemma2"
    """The same; in the first of its two layers a token sees only the last `WINDOW`."""
    RECURRENT = "mamba"
    """One state for each sequence."""
    HYBRID = "lfm2"
    """States in the first layer, cells in the second."""
    RERANKER = "bert"
    """Nothing: an encoder, with a head that gives each text one score."""


@dataclass(frozen=True)
class Noise(TensorSpec):
    """Normally distributed values, in F32. Which ones follows from the tensor's name and `seed`."""

    deviation: float = 1.0
    mean: float = 0.0
    seed: int = 0

    @property
    def data(self) -> bytes:
        chance = random.Random(f"{self.name} {self.seed}")
        return array("f", (chance.gauss(self.mean, self.deviation) for _ in range(self.size // 4))).tobytes()


@dataclass(frozen=True)
class Tokenizer:
    """Metadata entries as they are in the file, and the number of tokens."""

    entries: tuple[bytes, ...]
    size: int


@dataclass(frozen=True)
class Blueprint:
    """All that a model's file holds. `keys` have the architecture's name before them there."""

    keys: Mapping[str, Meta]
    tensors: tuple[TensorSpec, ...]
    tokenizer: Tokenizer


def write_model(path: Path, architecture: Architecture) -> Path:
    """Write a model of less than 300 KB that llama.cpp loads and computes with. Returns `path`.

    All but the reranker have the demo's vocabulary.
    """
    return write_blueprint(path, architecture.value, _BLUEPRINTS[architecture]())


def write_blueprint(path: Path, name: str, blueprint: Blueprint) -> Path:
    entries = [entry("general.architecture", name), entry("general.name", f"tiny {name}")]
    entries += [entry(f"{name}.{key}", item) for key, item in blueprint.keys.items()]
    return write_gguf(path, [*entries, *blueprint.tokenizer.entries], blueprint.tensors)


# -- models ---------------------------------------------------------------------------------------------------


def attention() -> Blueprint:
    keys = _sizes() | {
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _KV_HEADS,
        "rope.dimension_count": _WIDTH // _HEADS,
    }
    tensors = [*ends("output_norm")]
    for block in ("blk.0", "blk.1"):
        tensors += [*attention_layer(block), *_feed_forward(block)]
    return Blueprint(keys, tuple(tensors), _demo_tokenizer())


def _sections() -> Blueprint:
    plain = attention()
    return replace(plain, keys={**plain.keys, "rope.dimension_sections": Array(INT32, [2, 1, 1, 0])})


def _sliding_window() -> Blueprint:
    plain = attention()
    keys = {**plain.keys, "attention.sliding_window": WINDOW}
    # Gemma multiplies its embeddings by the root of the width: what the layers add is made as large.
    post_norms = (
        Noise(f"{block}.{name}.weight", (_WIDTH,), deviation=_WIDTH**0.5)
        for block in ("blk.0", "blk.1")
        for name in ("post_attention_norm", "post_ffw_norm")
    )
    return Blueprint(keys, (*plain.tensors, *post_norms), plain.tokenizer)


def _recurrent() -> Blueprint:
    keys = _sizes() | {
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "ssm.conv_kernel": _KERNEL,
        "ssm.inner_size": _INNER,
        "ssm.state_size": _STATE,
        "ssm.time_step_rank": _STEP_RANK,
    }
    tensors = [*ends("output_norm")]
    for block in ("blk.0", "blk.1"):
        tensors += _state_space_layer(block)
    return Blueprint(keys, tuple(tensors), _demo_tokenizer())


def _hybrid() -> Blueprint:
    keys = _sizes() | {
        "attention.head_count": _HEADS,
        "attention.head_count_kv": Array(INT32, [0, _KV_HEADS]),  # none makes it a layer with a state
        "shortconv.l_cache": _KERNEL,
    }
    tensors = [
        *ends("token_embd_norm"),
        *norms("blk.0.attn_norm"),
        Noise("blk.0.shortconv.conv.weight", (_KERNEL, _WIDTH)),
        matrix("blk.0.shortconv.in_proj", _WIDTH, 3 * _WIDTH),
        matrix("blk.0.shortconv.out_proj", _WIDTH, _WIDTH),
        *_feed_forward("blk.0"),
        *attention_layer("blk.1"),
        Noise("blk.1.attn_q_norm.weight", (_WIDTH // _HEADS,), deviation=0.0, mean=_PEAKED),
        Noise("blk.1.attn_k_norm.weight", (_WIDTH // _HEADS,), deviation=0.0, mean=_PEAKED),
        *_feed_forward("blk.1"),
    ]
    return Blueprint(keys, tuple(tensors), _demo_tokenizer())


def _reranker() -> Blueprint:
    tokenizer = _word_pieces()
    keys: dict[str, Meta] = {
        "context_length": _POSITIONS,
        "embedding_length": _WIDTH,
        "block_count": 2,
        "feed_forward_length": HIDDEN,
        "attention.head_count": _HEADS,
        "attention.layer_norm_epsilon": 1e-12,
        "attention.causal": False,
        "pooling_type": _RANK_POOLING,
    }
    tensors: list[TensorSpec] = [
        Noise("token_embd.weight", (_WIDTH, tokenizer.size)),
        Noise("position_embd.weight", (_WIDTH, _POSITIONS), deviation=0.5),
        Noise("token_types.weight", (_WIDTH, 2), deviation=0.5),
        *norms("token_embd_norm", bias=True),
        matrix("cls", _WIDTH, _WIDTH),
        Noise("cls.bias", (_WIDTH,), deviation=0.1),
        matrix("cls.output", _WIDTH, 1),
        Noise("cls.output.bias", (1,), deviation=0.1),
    ]
    for block in ("blk.0", "blk.1"):
        tensors += [
            matrix(f"{block}.attn_q", _WIDTH, _WIDTH, gain=_PEAKED),
            matrix(f"{block}.attn_k", _WIDTH, _WIDTH, gain=_PEAKED),
            matrix(f"{block}.attn_v", _WIDTH, _WIDTH),
            matrix(f"{block}.attn_output", _WIDTH, _WIDTH),
            *norms(f"{block}.attn_output_norm", bias=True),
            matrix(f"{block}.ffn_up", _WIDTH, HIDDEN),
            matrix(f"{block}.ffn_down", HIDDEN, _WIDTH),
            *norms(f"{block}.layer_output_norm", bias=True),
        ]
    return Blueprint(keys, tuple(tensors), tokenizer)


_BLUEPRINTS = {
    Architecture.ATTENTION: attention,
    Architecture.SECTIONS: _sections,
    Architecture.SLIDING_WINDOW: _sliding_window,
    Architecture.RECURRENT: _recurrent,
    Architecture.HYBRID: _hybrid,
    Architecture.RERANKER: _reranker,
}


# -- their parts ----------------------------------------------------------------------------------------------


def _sizes() -> dict[str, Meta]:
    return {
        "context_length": _CONTEXT,
        "embedding_length": _WIDTH,
        "block_count": 2,
        "feed_forward_length": HIDDEN,
        "attention.layer_norm_rms_epsilon": 1e-5,
    }


def ends(last_norm: str) -> list[TensorSpec]:
    """Where tokens come in and logits go out, through the same matrix.

    The last norm's weights have either sign: else each token's own embedding would make it the likeliest to follow.
    """
    size = _demo_tokenizer().size
    return [Noise("token_embd.weight", (_WIDTH, size)), Noise(f"{last_norm}.weight", (_WIDTH,))]


def attention_layer(block: str) -> list[TensorSpec]:
    return [
        *norms(f"{block}.attn_norm"),
        matrix(f"{block}.attn_q", _WIDTH, _WIDTH, gain=_PEAKED),
        matrix(f"{block}.attn_k", _WIDTH, _KV_WIDTH, gain=_PEAKED),
        matrix(f"{block}.attn_v", _WIDTH, _KV_WIDTH),
        matrix(f"{block}.attn_output", _WIDTH, _WIDTH, gain=2.0),
    ]


def _feed_forward(block: str) -> list[TensorSpec]:
    return [
        *norms(f"{block}.ffn_norm"),
        matrix(f"{block}.ffn_gate", _WIDTH, HIDDEN),
        matrix(f"{block}.ffn_up", _WIDTH, HIDDEN),
        matrix(f"{block}.ffn_down", HIDDEN, _WIDTH),
    ]


def _state_space_layer(block: str) -> list[TensorSpec]:
    return [
        *norms(f"{block}.attn_norm"),
        matrix(f"{block}.ssm_in", _WIDTH, 2 * _INNER),
        Noise(f"{block}.ssm_conv1d.weight", (_KERNEL, _INNER), deviation=0.5),
        Noise(f"{block}.ssm_conv1d.bias", (_INNER,), deviation=0.1),
        matrix(f"{block}.ssm_x", _INNER, _STEP_RANK + 2 * _STATE, gain=2.0),
        matrix(f"{block}.ssm_dt", _STEP_RANK, _INNER),
        Noise(f"{block}.ssm_dt.bias", (_INNER,), mean=-2.0),
        # What a state forgets with each token: little, so that it tells texts apart by their beginnings.
        Noise(f"{block}.ssm_a", (_STATE, _INNER), deviation=0.01, mean=-0.1),
        Noise(f"{block}.ssm_d", (_INNER,)),
        matrix(f"{block}.ssm_out", _INNER, _WIDTH, gain=2.0),
    ]


def matrix(name: str, inputs: int, outputs: int, gain: float = 1.0) -> Noise:
    """What comes out deviates `gain` times as far from 0 as what goes in."""
    return Noise(f"{name}.weight", (inputs, outputs), deviation=gain * inputs**-0.5)


def norms(name: str, *, bias: bool = False) -> Iterator[Noise]:
    yield Noise(f"{name}.weight", (_WIDTH,), deviation=0.0, mean=1.0)
    if bias:
        yield Noise(f"{name}.bias", (_WIDTH,), deviation=0.1)


# -- vocabularies ---------------------------------------------------------------------------------------------


def _demo_tokenizer() -> Tokenizer:
    """That of the demo, byte for byte."""
    gguf, content = read_gguf(DEMO_GGUF), DEMO_GGUF.read_bytes()
    ranges = [entry for entry in gguf.key_ranges if entry.key.startswith("tokenizer.")]
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, ArrayValue)
    return Tokenizer(tuple(content[one.offset : one.offset + one.size] for one in ranges), tokens.length)


def _word_pieces() -> Tokenizer:
    """Every word of ASCII letters and digits, letter by letter; some in one piece."""
    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    letters = (*string.ascii_lowercase, *string.digits)
    words = ("moon", "man", "first", "the", "on", "was", "weather", "bread", "capital", "of", "france", "paris")
    begin = "\u2581"  # what llama.cpp's WordPiece writes before a word
    tokens = (*marks, *(begin + one for one in (*letters, *string.punctuation, *words)), *letters)
    control, normal = 3, 1  # llama_token_type
    kinds = [control] * len(marks) + [normal] * (len(tokens) - len(marks))
    keys: dict[str, Meta] = {
        "model": "bert",
        "tokens": Array(STRING, tokens),
        "token_type": Array(INT32, kinds),
        "token_type_count": 2,
        "padding_token_id": 0,
        "unknown_token_id": 1,
        "bos_token_id": 2,
        "seperator_token_id": 3,  # so spelled in the format
        "mask_token_id": 4,
    }
    return Tokenizer(tuple(entry(f"tokenizer.ggml.{key}", item) for key, item in keys.items()), len(tokens))


# -- the file -------------------------------------------------------------------------------------------------


def entry(key: str, item: Meta) -> bytes:
    return gguf_string(key) + value(item)


def write_gguf(path: Path, entries: Sequence[bytes], tensors: Sequence[TensorSpec]) -> Path:
    infos, data = b"", b""
    for tensor in tensors:
        infos += tensor_info(tensor.name, tensor.shape, tensor.type, len(data))
        data += tensor.data
        data += bytes(-len(data) % _ALIGNMENT)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + infos
    path.write_bytes(header + bytes(-len(header) % _ALIGNMENT) + data)
    return path
