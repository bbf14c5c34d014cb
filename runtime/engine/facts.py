"""What weights say of themselves: before they are loaded, of their layers, and then of all else.

Knows what follows from that alone. Refuses to know what somebody chose instead (`settings.py`), and llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.engine.settings import Pooling
from runtime.memory.layers import LayerCache
from runtime.memory.sizes import Kept, cache_sizes, choose_slots, keeps_state


class LayerSizes(msgspec.Struct, frozen=True):
    """What a GGUF says of its layers, before it is loaded. All in bytes, but `n_ctx_train`.

    `layers` are the weights of each, of which `experts` are those of a mixture's experts, `output` of what comes after
    the last; `caches` what each keeps of the text.
    `widest` is the most that one token takes of scratch memory: logits, or activations.
    """

    layers: tuple[int, ...]
    output: int
    caches: tuple[LayerCache, ...]
    widest: int
    n_ctx_train: int
    experts: tuple[int, ...] = ()

    def cache(self, kept: Kept) -> tuple[int, ...]:
        """What each layer's part of the cache takes. There may be more than `layers`, where the GGUF is split."""
        sizes = cache_sizes(self.caches, kept)
        return (*sizes, *[0] * (len(self.layers) - len(sizes)))

    def without_experts(self, n_layers: int) -> LayerSizes:
        """The same where the experts of the first `n_layers` are somewhere else."""
        elsewhere = (*self.experts[:n_layers], *[0] * len(self.layers))
        layers = tuple(size - experts for size, experts in zip(self.layers, elsewhere, strict=False))
        return msgspec.structs.replace(self, layers=layers)

    def slots(self, n_ctx: int) -> int:
        """How many requests run at once in such a context, where nobody says."""
        return choose_slots(n_ctx, keeps_state=keeps_state(self.caches))

    def scratch(self, n_ctx: int, n_ubatch: int) -> int:
        """Rough and rather too much: what `n_ubatch` tokens are computed in, and the mask of attention in F16."""
        return n_ubatch * (self.widest + 2 * n_ctx)


class InfillTokens(msgspec.Struct, frozen=True):
    """Tokens that a model for code marks a gap with. `repository`, `file` and `bos` None: it has or wants none."""

    prefix: int
    suffix: int
    middle: int
    repository: int | None = None
    file: int | None = None
    bos: int | None = None

    def prompt(self, prefix: Sequence[int], suffix: Sequence[int]) -> tuple[int, ...]:
        """After which the middle comes: llama-server's order (`format_prompt_infill`, server-common.cpp)."""
        begin = () if self.bos is None else (self.bos,)
        return (*begin, self.prefix, *prefix, self.suffix, *suffix, self.middle)


class ModelFacts(msgspec.Struct, frozen=True):
    """What the weights say of themselves.

    `repacked` bytes of the weights are in memory of their own, laid out for this processor. `keeps_state` instead of,
    or besides, a cell for each token: recurrent and hybrid models, whose sequences cannot be cut. Some layers see the
    last `window` tokens only; 0: all see all. `quantization` as people name it ("Q4_K_M"), "unknown" where nobody can
    tell; `license` and `title` (what people call it) "" where none is named. `infill` None for a model that has not
    learnt to fill gaps, `pooling` None for one that does not say. `ends` are the tokens that end a generation.
    `skips_positions`: pictures may take fewer positions than cells (M-RoPE). `knows_chatml`: its vocabulary has the
    marks of that around a turn, as tokens.
    """

    description: str
    architecture: str
    quantization: str
    license: str
    size: int
    parameter_count: int
    vocabulary_size: int
    n_ctx_train: int
    embedding_length: int
    keeps_state: bool
    repacked: int
    window: int
    adds_bos: bool
    bos: str
    eos: str
    chat_template: str | None
    infill: InfillTokens | None = None
    pooling: Pooling | None = None
    ends: tuple[int, ...] = ()
    skips_positions: bool = False
    knows_chatml: bool = False
    title: str = ""
