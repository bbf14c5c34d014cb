"""How many layers of a model fit the devices: arithmetic over what the GGUF says and what is free there.

What llama.cpp needs to compute in is an estimate, so what fits by it may fail still: `placing` tries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from runtime.engine.facts import LayerSizes
from runtime.memory.sizes import Kept

SPARE = 256 * 1024 * 1024
"""Bytes of each device that are left alone, besides the scratch memory: for the driver and the screen."""

WORTHWHILE_CONTEXT = 8192
"""Tokens of context for which the whole model goes on the devices; only then are layers left out."""


class Fit(msgspec.Struct, frozen=True):
    """`n_layers` on the devices, counting the output as one, and `n_ctx` tokens of context.

    The experts of the first `cpu_experts` layers stay on the processor, where a mixture loses least: each token needs
    few of them.
    """

    n_layers: int
    n_ctx: int
    cpu_experts: int = 0


def fit(
    sizes: LayerSizes,
    n_ctx: int | None,
    kept: Callable[[int], Kept],
    free: Sequence[int],
    shares: Sequence[float] = (),
    draft: LayerSizes | None = None,
    cpu_experts: int | None = None,
) -> Fit:
    """The most layers that fit. `n_ctx` None: the model's own context, less if only then all layers fit.

    All of them only where the `draft` model does, too.

    `kept` is what a context of so many tokens keeps. `free` are the bytes of each device, `shares` what of the layers
    each is to get (empty: by what is free). `cpu_experts` None: before a layer is left out, experts are.
    """
    least = 0 if cpu_experts is None else min(cpu_experts, len(sizes.layers))
    most_experts = len(sizes.layers) if cpu_experts is None and any(sizes.experts) else least
    contexts = [n_ctx] if n_ctx is not None else _contexts(sizes.n_ctx_train)
    whole = len(sizes.layers) + 1
    for context in contexts:
        if _fits(sizes.without_experts(least), whole, kept(context), free, shares, draft):
            return Fit(whole, context, least)
    context = contexts[-1]
    for experts in range(least + 1, most_experts + 1):
        if _fits(sizes.without_experts(experts), whole, kept(context), free, shares, draft):
            return Fit(whole, context, experts)
    left = sizes.without_experts(most_experts)
    most = (n for n in range(whole - 1, 0, -1) if _fits(left, n, kept(context), free, shares, None))
    return Fit(next(most, 0), context, most_experts)


def _contexts(n_ctx_train: int) -> list[int]:
    """The model's own, halved as far as is worthwhile."""
    contexts = [n_ctx_train]
    while contexts[-1] // 2 >= WORTHWHILE_CONTEXT:
        contexts.append(contexts[-1] // 2)
    return contexts


def _fits(
    sizes: LayerSizes,
    n_layers: int,
    kept: Kept,
    free: Sequence[int],
    shares: Sequence[float],
    draft: LayerSizes | None,
) -> bool:
    named = [*shares, *[0.0] * len(free)][: len(free)]  # a device for which none is named gets nothing
    divided = named if shares else list(map(float, free))
    needs = _needs(sizes, n_layers, kept, divided)
    if draft is not None:
        beside = _needs(draft, len(draft.layers) + 1, kept, divided)
        needs = [need + more for need, more in zip(needs, beside, strict=True)]
    return all(need <= left for need, left in zip(needs, free, strict=True))


def _needs(sizes: LayerSizes, n_layers: int, kept: Kept, shares: Sequence[float]) -> list[int]:
    """Bytes on each device when the last `n_layers`, the output among them, are divided by `shares`.

    As load_tensors of llama.cpp (src/llama-model.cpp) divides them: layer i of n goes to the first device whose
    cumulated share is more than i / n.
    """
    per_layer = [weights + cache for weights, cache in zip(sizes.layers, sizes.cache(kept), strict=False)]
    placed = [*per_layer, sizes.output][-n_layers:]
    total = sum(shares) or 1.0
    bounds = [sum(shares[: i + 1]) / total for i in range(len(shares))]
    needs = [0] * len(shares)
    for i, size in enumerate(placed):
        device = next((d for d, bound in enumerate(bounds) if bound > i / len(placed)), len(bounds) - 1)
        needs[device] += size
    besides = sizes.scratch(kept.n_ctx, kept.n_ubatch) + SPARE
    return [need + besides if need else 0 for need in needs]
