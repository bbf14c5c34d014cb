"""The draft model of a model that is served: which one it is, and where it computes.

Refuses to know when it guesses (`engine/`), and how weights are read.
"""

from __future__ import annotations

import msgspec

from runtime.engine.facts import LayerSizes
from runtime.engine.placement import Offload, Placement
from runtime.models.finding import Draft, Found, find_draft
from runtime.settings import EngineSettings


def draft_of(found: Found, settings: EngineSettings) -> Draft | None:
    """What guesses for `found`: the file that a flag names, else what lies beside it; None: nothing does.

    Raises `OSError`.
    """
    if not settings.max_draft or not found.keeps_cache:
        return None
    return found.draft if settings.draft is None else find_draft(settings.draft)


def draft_offload(placement: Placement, sizes: LayerSizes) -> Offload | None:
    """Where a draft model of such `sizes` computes, beside a model that is placed so.

    On this machine's devices, where they have that whole; else on the processor, so that no layer of the model is left
    out for it.
    """
    offload = placement.offload
    if offload is None:
        return None
    is_there = placement.is_whole and not offload.workers
    n_layers = len(sizes.layers) + 1 if is_there else 0
    return msgspec.structs.replace(offload, n_layers=n_layers, workers=(), tensor_buffers=(), cpu_experts=0)
