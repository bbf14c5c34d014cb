"""How a model is loaded, and how contexts of it are made: what can be chosen, and is by flags.

Knows llama.cpp's own names of what can be chosen. Refuses to know what the weights say of themselves (`facts.py`), and
where they compute (`placement.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from runtime.memory.sizes import Kept


class ProjectorSettings(msgspec.Struct, frozen=True):
    """How pictures are looked at: with a GPU where there is one, and as how many tokens, None: as its family has it."""

    use_gpu: bool = False
    min_tokens: int | None = None
    max_tokens: int | None = None


NumaStrategy = Literal["distribute", "isolate", "numactl"]
"""Where threads run on a machine of several NUMA nodes: ggml's `ggml_numa_strategy`, from 1 on."""


class MetadataOverride(msgspec.Struct, frozen=True):
    """What the model is taken to say of itself by `key`, whatever its GGUF says there."""

    key: str
    value: bool | int | float | str


class LoadSettings(msgspec.Struct, frozen=True):
    """How weights come into memory: mapped or read, locked there or not, repacked for the processor or not.

    `numa` None: threads run where the system puts them. `overrides` are said of the model in place of
    what its GGUF says.
    """

    mmap: bool = True
    mlock: bool = False
    repack: bool = True
    numa: NumaStrategy | None = None
    overrides: tuple[MetadataOverride, ...] = ()


CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
"""What K and V can be kept as; llama-server's list."""

CACHE_BITS: dict[CacheType, float] = {
    "f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5, "iq4_nl": 4.5,
}  # fmt: skip
"""Bits a value: block_q8_0 is 34 bytes for 32 values, and so on (ggml-common.h)."""

Pooling = Literal["none", "mean", "cls", "last", "rank"]
"""How the vectors of a text's tokens become one."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
"""The same in the order of llama.cpp's `llama_pooling_type`, from 0 on."""

RopeScaling = Literal["none", "linear", "yarn"]
"""How positions beyond the training are told: llama.cpp's `llama_rope_scaling_type`, in its order."""


class Rope(msgspec.Struct, frozen=True):
    """How positions are told (RoPE), and those beyond the training (YaRN, arXiv 2309.00071); None: as the model says.

    `freq_scale` is one by what a context grows; `yarn_orig_ctx` counts tokens.
    """

    scaling: RopeScaling | None = None
    freq_base: float | None = None
    freq_scale: float | None = None
    yarn_orig_ctx: int | None = None
    yarn_ext_factor: float | None = None
    yarn_attn_factor: float | None = None
    yarn_beta_fast: float | None = None
    yarn_beta_slow: float | None = None


class ControlVectors(msgspec.Struct, frozen=True):
    """What is added to the activations between layers: the sum of vectors in files, each as strongly as its scale.

    Only behind the layers from `first` to `last`, both included, None: to the end. A GGUF has them as `direction.N`.
    """

    files: tuple[tuple[Path, float], ...] = ()
    first: int = 1
    last: int | None = None


ContextSource = Literal["flag", "model", "memory", "device"]
"""What the size of a context comes from: a flag, the model's training, or what fits in memory or on the GPUs."""


class ContextSettings(msgspec.Struct, frozen=True):
    """Sizes in tokens; `n_slots` sequences share `n_ctx` of them. `flash_attention` None: where it can be used.

    `max_draft` tokens may be guessed for each sequence and step, from its own text where it `looks_up`; `pooling` None:
    what the model says. A draft model guesses no token of less than `least_probability`, nor fewer than `min_draft` at
    once. With `swa_full`, layers with a sliding window keep all tokens, too. With `gives_way` fewer than `n_threads`
    compute while others need the processors. `cache_beside_layers`: what is kept of the text is where its layer is, on
    a GPU; else in memory.
    """

    n_ctx: int
    n_slots: int
    n_batch: int
    n_ubatch: int
    n_threads: int
    flash_attention: bool | None = None
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    max_draft: int = 0
    looks_up: bool = False
    min_draft: int = 0
    least_probability: float = 0.0
    swa_full: bool = False
    pooling: Pooling | None = None
    n_ctx_source: ContextSource = "flag"
    gives_way: bool = False
    cache_beside_layers: bool = True
    rope: Rope = Rope()
    control: ControlVectors = ControlVectors()

    def kept(self) -> Kept:
        """What of the text is kept then."""
        bits_k, bits_v = CACHE_BITS[self.cache_type_k], CACHE_BITS[self.cache_type_v]
        return Kept(self.n_ctx, self.n_slots, self.n_ubatch, self.swa_full, bits_k, bits_v)
