"""The projector that a model sees with: which it is, and what it asks of the context.

Refuses to know pictures.
"""

from __future__ import annotations

import msgspec

from runtime.engine.backend import ContextSettings, Placement
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.projector import Projector
from runtime.models.finding import Found
from runtime.settings import EngineSettings


def open_projector(
    found: Found, settings: EngineSettings, model: LlamaModel, context: ContextSettings, placement: Placement
) -> Projector | None:
    """What `model` sees with; None where there is nothing. Raises `ProjectorFailed`, `OSError`."""
    weights = settings.projector or (found.projector if settings.projects else None)
    if weights is None:
        return None
    looking = msgspec.structs.replace(settings.looking, use_gpu=placement.offload is not None)
    return Projector(model, weights, looking, context.n_threads, None)


def with_room_for(projector: Projector | None, context: ContextSettings) -> ContextSettings:
    """The same with micro-batches that hold a picture, where the model must look at all of it at once."""
    if projector is None or projector.fits <= context.n_ubatch:
        return context
    n = min(projector.fits, context.n_ctx)
    return msgspec.structs.replace(context, n_ubatch=n, n_batch=max(context.n_batch, n))
