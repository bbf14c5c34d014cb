"""From settings to running engines: who loads when, and what is tried.

Knows bundles, settings and the machine. Refuses to know which weights there are (`finding.py`) and how the machine is
shared among them (`sharing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path

import msgspec

from runtime.bundle import Bundle
from runtime.engine.backend import Backend
from runtime.engine.engine import Engine
from runtime.engine.errors import LoadAborted, WorkerLost
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.drafter import Draft, check_draft
from runtime.engine.llama.layers import NO_LAYERS, layer_sizes
from runtime.engine.llama.loading import load_model, look_at_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.placement import Offload, Placement
from runtime.engine.settings import LoadSettings
from runtime.engine.weights import Adapter, Weights
from runtime.engine.worker import Worker
from runtime.errors import LoafError
from runtime.machine.resources import memory
from runtime.models.drafts import draft_of, draft_offload
from runtime.models.finding import Found, find_weights
from runtime.models.seeing import open_projector, projector_size, with_room_for
from runtime.models.served import Loading, ModelUnusable, ServedModel
from runtime.models.sharing import Sized, context_settings, share_memory
from runtime.models.warmth import warmth_of
from runtime.offloading.placing import open_where_it_fits, placements
from runtime.settings import EngineSettings, Settings


class _Shared(msgspec.Struct, frozen=True):
    """What the models of one bundle have in common. `free` bytes of memory are for each; see `share_memory`."""

    bundle: Bundle | None
    free: int
    is_one_of_many: bool


def open_models(bundle: Bundle | None, settings: Settings) -> tuple[ServedModel, ...]:
    """Start loading the model that `settings` name, or the bundle's own: one at least, the first is the primary one.

    They load side by side; where there may be a GPU, one after the other, so that each finds what those before have
    left of it. Where nothing is served, one that writes text is all that is needed. Raises `NoModel`, `OSError`.
    """
    found, shared = _find_all(bundle, settings)
    worker = Worker()
    in_turn = bool(settings.gpu.workers) or (bundle is not None and bool(bundle.manifest.packs))
    served: list[ServedModel] = []
    if settings.gpu.workers:
        _give_up_when_a_worker_is_lost(served)
    for one in found:
        after = served[-1].engine if served and in_turn else None
        served.append(_open(one, settings.of_another_model() if served else settings, shared, worker, after))
    return tuple(served)


def _give_up_when_a_worker_is_lost(served: list[ServedModel]) -> None:
    """All of `served`, whichever has something there: they compute in one thread, which never comes back then."""
    from runtime.engine.llama.workers import connections

    def give_up(error: WorkerLost) -> None:
        for one in served:
            one.engine.lose(error)

    connections().listen(give_up)


def look_at_models(bundle: Bundle | None, settings: Settings) -> Iterator[tuple[str, Weights, Settings, Backend]]:
    """What `open_models` would open, decided in the same way, one after the other, without reading the weights.

    (name, weights, the model's own settings, a backend that cannot compute, and is closed afterwards) of each. None
    takes of a GPU's memory, so each finds all of it; whether the GPU has it is not tried. Raises what loading would.
    """
    found, shared = _find_all(bundle, settings)
    for number, one in enumerate(found):
        own = settings.of_another_model() if number else settings
        backend = _open_backend(one, own, shared, look_at_model)
        try:
            yield one.name, one.weights, own, backend
        finally:
            backend.close()


def _find_all(bundle: Bundle | None, settings: Settings) -> tuple[list[Found], _Shared]:
    found = find_weights(bundle, settings.model)
    if settings.prompt is not None or not settings.serves:
        found = [next((one for one in found if one.keeps_cache), found[0])]
    draft = draft_of(found[0], settings.engine)
    sizes = [one.size + projector_size(one, settings.engine) for one in found] + ([] if draft is None else [draft.size])
    free = share_memory(memory().available, sizes, sum(one.keeps_cache for one in found))
    return found, _Shared(bundle, free, len(found) > 1)


_Load = Callable[[Weights, LoadSettings, Sequence[Adapter], Offload | None], LlamaModel]


def _open_backend(found: Found, settings: Settings, shared: _Shared, load: _Load) -> Backend:
    """The model where it fits, as `load` gives it: `look_at_model`, or `load_model` with a way to end it."""
    engine = settings.engine
    adapters = (*found.adapters, *engine.adapters)
    guesses = draft_of(found, engine)

    def open_with(placement: Placement) -> Backend:
        with ExitStack() as opened:
            model = load(found.weights, engine.load, adapters, placement.offload)
            opened.callback(model.close)
            sized = Sized(model.facts, layer_sizes(found.weights) or NO_LAYERS)
            draft, draft_sized = None, None
            if guesses is not None and not model.facts.keeps_state:  # else no wrong guess could be taken back
                sizes = layer_sizes(guesses.weights) or NO_LAYERS
                own = msgspec.structs.replace(engine.load, overrides=())
                guessing = load(guesses.weights, own, (), draft_offload(placement, sizes))
                opened.callback(guessing.close)
                draft, draft_sized = Draft(guesses.weights, guessing), Sized(guessing.facts, sizes)
                check_draft(draft, model)
            context = context_settings(engine, sized, draft_sized, placement, shared.free)
            projector = open_projector(found, shared.bundle, engine, model, context, placement)
            if projector is not None:
                opened.callback(projector.close)
            context = with_room_for(projector, context)
            backend = LlamaBackend(model, context, placement, projector, draft)
            opened.pop_all()
        if shared.bundle is not None and found.is_first:
            backend.warmth = warmth_of(shared.bundle, engine, backend)
        return backend

    beside = None if guesses is None else guesses.weights
    return open_where_it_fits(placements(shared.bundle, settings.gpu, engine, found.weights, beside), open_with)


def _open(found: Found, settings: Settings, shared: _Shared, worker: Worker, after: Engine | None) -> ServedModel:
    loading = Loading()

    def load(
        weights: Weights, settings: LoadSettings, adapters: Sequence[Adapter], offload: Offload | None
    ) -> LlamaModel:
        return load_model(weights, settings, loading.ended, adapters, offload, loading.report)

    def open_backend() -> Backend:
        if after is not None:
            wait([after.ready])
        try:
            return _open_backend(found, settings, shared, load)
        except LoadAborted:
            raise
        except LoafError as error:
            if shared.is_one_of_many:
                raise ModelUnusable(found.name, error) from error
            raise

    # Where states of slots are kept, slots are known by their numbers: what is in them stays there.
    own = settings.engine
    shelf_bytes = 0 if settings.server.slot_save_path else own.shelf_bytes
    engine = Engine(
        open_backend, shifts=own.context_shift, shelf_bytes=shelf_bytes, checkpoints=own.checkpoints, worker=worker
    )
    engine.start()
    files = _files(found, settings.engine, shared.bundle)
    return ServedModel(found.name, found.weights, found.size, found.digest, engine, loading, files)


def _files(found: Found, settings: EngineSettings, bundle: Bundle | None) -> tuple[Path, ...]:
    """What it is loaded from, and what is looked into later."""
    draft = draft_of(found, settings)
    weights = [found.weights, *(adapter.weights for adapter in (*found.adapters, *settings.adapters))]
    weights += filter(None, [found.projector, settings.projector, draft.weights if draft is not None else None])
    paths = [path for one in weights for path in one.parts()]
    paths += [path for path, _scale in settings.control.files]
    return tuple(dict.fromkeys(paths if bundle is None else (*paths, bundle.path)))
