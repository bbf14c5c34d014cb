"""How much of the machine each model gets: memory, context, requests at once, threads.

Pure but for asking how many processors there are. Refuses to know how a model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runtime.engine.errors import ContextFailed
from runtime.engine.facts import LayerSizes, ModelFacts
from runtime.engine.placement import Placement
from runtime.engine.settings import ContextSettings, ContextSource
from runtime.machine.resources import processors
from runtime.settings import EngineSettings


class Sized(msgspec.Struct, frozen=True):
    """A model, by what counts for how much of the machine it gets."""

    facts: ModelFacts
    sizes: LayerSizes


def context_settings(
    settings: EngineSettings, model: Sized, draft: Sized | None, placement: Placement, free: int
) -> ContextSettings:
    """What is asked for, and where nothing is, what `free` bytes of memory allow `model` and what guesses for it."""
    facts, sizes = model.facts, model.sizes
    n_ctx = settings.n_ctx or _context(settings, model, draft, placement, free)
    if not settings.beyond_training:
        n_ctx = min(n_ctx, facts.n_ctx_train)
    source: ContextSource = "device" if n_ctx == placement.n_ctx else "memory"
    if n_ctx in (settings.n_ctx, facts.n_ctx_train):
        source = "flag" if n_ctx == settings.n_ctx else "model"
    n_slots = settings.n_slots or sizes.slots(n_ctx)
    return ContextSettings(
        n_ctx=n_ctx,
        n_slots=n_slots,
        n_batch=max(min(settings.n_batch, n_ctx), n_slots),  # each slot's next token must fit one batch
        n_ubatch=min(settings.n_ubatch, n_ctx),
        n_threads=settings.n_threads or processors().usable,
        gives_way=settings.n_threads is None,
        flash_attention=settings.flash_attention,
        cache_type_k=settings.cache_type_k,
        cache_type_v=settings.cache_type_v,
        max_draft=settings.max_draft if settings.looks_up or draft is not None else 0,
        looks_up=settings.looks_up,
        min_draft=settings.min_draft,
        least_probability=settings.least_probability,
        swa_full=settings.swa_full,
        pooling=settings.pooling,
        n_ctx_source=source,
        cache_beside_layers=settings.cache_beside_layers,
        rope=settings.rope,
        control=settings.control,
    )


def check_room(
    settings: EngineSettings, context: ContextSettings, model: Sized, draft: Sized | None, available: int
) -> None:
    """Raises `ContextFailed` where what was asked for takes more than all the memory that is `available`, in bytes.

    llama.cpp would take it piece by piece, until the system ends this program, or another one.
    """
    needs = _kept_bytes(settings, model, draft, context.n_ctx)
    if settings.n_ctx is not None and needs > available:
        raise ContextFailed(context.n_ctx, "it was not tried", available, needs)


def _context(settings: EngineSettings, model: Sized, draft: Sized | None, placement: Placement, free: int) -> int:
    if placement.is_whole and placement.n_ctx is not None:
        return placement.n_ctx
    n_ctx = choose_context(settings, model, draft, free)
    return n_ctx if placement.n_ctx is None else min(n_ctx, placement.n_ctx)


MINIMUM_CONTEXT = 512
_STEP = 256


def share_memory(available: int, weights: Sequence[int], sharers: int) -> int:
    """What each of `sharers` models may take besides the weights of all. All in bytes."""
    return max(available - sum(weights), 0) // max(sharers, 1)


def choose_context(settings: EngineSettings, model: Sized, draft: Sized | None, free: int) -> int:
    """The model's own context, or as much of it as fits half of the memory that is free for it besides the weights.

    The other half is for computing, and for the rest of the machine. What the draft model keeps counts as the model's.
    `free` in bytes; tokens out.
    """
    facts = model.facts
    both = (model,) if draft is None else (model, draft)
    room = max(free - sum(one.facts.repacked for one in both), 0) // 2

    def fits(n_ctx: int) -> bool:
        return _kept_bytes(settings, model, draft, n_ctx) <= room

    if fits(facts.n_ctx_train):
        return max(facts.n_ctx_train, 1)
    low, high = 0, -(-facts.n_ctx_train // _STEP)  # in steps: the first fits, the second does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * _STEP) else (low, middle)
    return max(low * _STEP, min(MINIMUM_CONTEXT, facts.n_ctx_train), 1)


def _kept_bytes(settings: EngineSettings, model: Sized, draft: Sized | None, n_ctx: int) -> int:
    kept = settings.kept(model.sizes, n_ctx)
    return sum(model.sizes.cache(kept)) + (0 if draft is None else sum(draft.sizes.cache(kept)))
