"""The projector that a model sees and hears with: which it is, what it takes besides, and what it asks of the context.

Refuses to know pictures and sounds.
"""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from runtime.bundle import Bundle
from runtime.engine.errors import ProjectorFailed
from runtime.engine.llama.model import LlamaModel
from runtime.engine.llama.projector import Projector
from runtime.engine.placement import Placement
from runtime.engine.settings import ContextSettings
from runtime.engine.weights import Weights
from runtime.errors import LoafError
from runtime.models.finding import Found
from runtime.settings import EngineSettings


class NoMediaPack(LoafError):
    """There is a projector, at `weights`, and the file has nothing to decode pictures and sounds with."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(
            f"{weights.path.name}: this file has no pack for pictures and sounds, which a projector needs",
            "loaf upgrade FILE adds it to a file that has a projector; --no-mmproj does without.",
        )
        self.weights = weights


def open_projector(
    found: Found,
    bundle: Bundle | None,
    settings: EngineSettings,
    model: LlamaModel,
    context: ContextSettings,
    placement: Placement,
) -> Projector | None:
    """What `model` takes them in with; None for nothing. Raises `NoMediaPack`, `ProjectorFailed`, `OSError`."""
    weights = _chosen(found, settings)
    if weights is None:
        return None
    media = _media(weights, bundle)
    if placement.offload is not None:
        with suppress(ProjectorFailed):  # where the GPU has no room for it, the processor has
            looking = msgspec.structs.replace(settings.looking, use_gpu=True)
            return Projector(model, weights, looking, context.n_threads, media)
    return Projector(model, weights, settings.looking, context.n_threads, media)


def projector_size(found: Found, settings: EngineSettings) -> int:
    """Bytes that it takes: all of it is read into memory."""
    weights = _chosen(found, settings)
    return 0 if weights is None else weights.size or weights.path.stat().st_size


def with_room_for(projector: Projector | None, context: ContextSettings) -> ContextSettings:
    """The same with micro-batches that hold a picture, where the model must look at all of it at once."""
    if projector is None or projector.fits <= context.n_ubatch:
        return context
    n = min(projector.fits, context.n_ctx)
    return msgspec.structs.replace(context, n_ubatch=n, n_batch=max(context.n_batch, n))


def _chosen(found: Found, settings: EngineSettings) -> Weights | None:
    return settings.projector or (found.projector if settings.projects else None)


def _media(weights: Weights, bundle: Bundle | None) -> Path | None:
    """The folder with what pictures and sounds need, where Python finds it from now on; None: all is installed."""
    if not getattr(sys, "frozen", False):
        return None
    here = f"{platform.system().lower()}-{platform.machine()}"
    packs = () if bundle is None else bundle.manifest.media
    pack = next((pack for pack in packs if pack.platform == here), None)
    if bundle is None or pack is None:
        raise NoMediaPack(weights)
    from runtime.backends.unpacking import cache_folder, unpacked_media

    folder = unpacked_media(bundle, pack, cache_folder())
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder
