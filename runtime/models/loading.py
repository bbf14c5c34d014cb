"""From settings to running engines: who loads when, and what is tried.

Knows bundles, settings and the machine. Refuses to know which weights there are (`finding.py`) and how the machine is
shared among them (`sharing.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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
from runtime.engine.settings import ContextSettings, LoadSettings
from runtime.engine.weights import Adapter, Weights
from runtime.engine.worker import Worker
from runtime.errors import LoafError
from runtime.machine.resources import memory
from runtime.models.drafts import draft_of, draft_offload
from runtime.models.finding import Found, find_weights
from runtime.models.seeing import open_projector, projector_size, with_room_for
from runtime.models.served import Loading, ModelUnusable, ServedModel, WeightsChanged
from runtime.models.sharing import Sized, check_room, context_settings, share_memory
from runtime.models.warmth import warmth_of
from runtime.offloading.placing import open_where_it_fits, placements
from runtime.settings import DiskSettings, EngineSettings, Settings

if TYPE_CHECKING:
    from runtime.engine.disk import Disk


class _Shared(msgspec.Struct, frozen=True):
    """What the models of one bundle have in common. `free` bytes of memory are for each; see `share_memory`."""

    bundle: Bundle | None
    free: int
    is_one_of_many: bool


def open_models(bundle: Bundle | None, settings: Settings) -> tuple[ServedModel, ...]:
    """Start loading the model that `settings` name, or the bundle's own: one at least, the first is the primary one.

    They load side by side; where there may be a GPU, one after the other, so that each finds what those before have
    left of it. For a prompt, one that writes text is all that is needed. Where only the terminal chats, all that write
    text are there, and those behind the first begin to load when their engines are started, with the memory of one
    model each. Raises `NoModel`, `OSError`.
    """
    found, shared = _find_all(bundle, settings)
    worker = Worker()
    in_turn = bool(settings.gpu.workers) or (bundle is not None and bool(bundle.manifest.packs))
    served: list[ServedModel] = []
    if settings.gpu.workers:
        _give_up_when_a_worker_is_lost(served)
    for one in found:
        after = served[-1].engine if served and in_turn and not settings.loads_when_chosen else None
        served.append(_open(one, settings.of_another_model() if served else settings, shared, worker, after))
    for each in served[:1] if settings.loads_when_chosen else served:
        each.engine.start()
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
        found = [one for one in found if one.keeps_cache] or found[:1]
    if settings.prompt is not None:
        found = found[:1]
    draft = draft_of(found[0], settings.engine)
    sizes = [one.size + projector_size(one, settings.engine) for one in found]
    sizes[0] += 0 if draft is None else draft.size
    sharers = sum(one.keeps_cache for one in found)
    if settings.loads_when_chosen:
        sizes, sharers = [max(sizes)], 1
    free = share_memory(memory().available, sizes, sharers)
    return found, _Shared(bundle, free, len(found) > 1)


_Load = Callable[[Weights, LoadSettings, Sequence[Adapter], Offload | None], LlamaModel]


class _Decided(msgspec.Struct, frozen=True):
    """Where a model computes, and in what context."""

    placement: Placement
    context: ContextSettings


def _open_backend(
    found: Found, settings: Settings, shared: _Shared, load: _Load, decided: _Decided | None = None
) -> LlamaBackend:
    """The model as it was `decided`, else where it fits; as `load` gives it: `look_at_model`, or `load_model` with a
    way to end it.
    """
    engine = settings.engine
    adapters = (*found.adapters, *engine.adapters)
    guesses = draft_of(found, engine)

    def open_with(placement: Placement) -> LlamaBackend:
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
            if decided is not None:
                context = decided.context
            else:
                context = context_settings(engine, sized, draft_sized, placement, shared.free)
                if load is not look_at_model and placement.offload is None:
                    check_room(engine, context, sized, draft_sized, memory().available)
            projector = open_projector(found, shared.bundle, engine, model, context, placement)
            if projector is not None:
                opened.callback(projector.close)
            context = with_room_for(projector, context)
            backend = LlamaBackend(model, context, placement, projector, draft)
            opened.pop_all()
        if shared.bundle is not None and found.is_first:
            backend.warmth = warmth_of(shared.bundle, engine, backend)
        return backend

    if decided is not None:
        return open_with(decided.placement)
    beside = None if guesses is None else guesses.weights
    return open_where_it_fits(placements(shared.bundle, settings.gpu, engine, found.weights, beside), open_with)


def _open(found: Found, settings: Settings, shared: _Shared, worker: Worker, after: Engine | None) -> ServedModel:
    loading = Loading()
    opener = _Opener(found, settings, shared, loading, after)
    # Where states of slots are kept, slots are known by their numbers: what is in them stays there.
    own = settings.engine
    shelf_bytes = 0 if settings.server.slot_save_path else own.shelf_bytes
    waits = settings.server.most_models is not None and settings.prompt is None and settings.batch is None
    engine = Engine(
        opener.open,
        look=opener.look if waits else None,
        shifts=own.context_shift,
        shelf_bytes=shelf_bytes,
        checkpoints=own.checkpoints,
        disk=None if own.disk is None else _disk(own.disk, opener.key),
        worker=worker,
    )
    return ServedModel(found.name, found.weights, found.size, found.digest, engine, loading, opener.files)


class _Opener:
    """Loads one model: each time in the same place, for the same context, and from the same `files`."""

    def __init__(
        self, found: Found, settings: Settings, shared: _Shared, loading: Loading, after: Engine | None
    ) -> None:
        self._found = found
        self._settings = settings
        self._shared = shared
        self._loading = loading
        self._after = after
        self._decided: _Decided | None = None
        self.files = _files(found, settings.engine, shared.bundle)
        self._versions = [_version(file) for file in self.files]

    @property
    def key(self) -> str:
        """What tells what is computed here from what is with other weights, adapters or scales of them."""
        engine = self._settings.engine
        named = self._found.digest or str(self._versions)
        return repr((named, engine.adapters, engine.control, engine.rope, engine.load.overrides))

    def open(self) -> Backend:
        """Raises what is wrong with it, `ModelUnusable` for one of several."""
        return self._open(self._load)

    def look(self) -> Backend:
        """The same, without its weights: it cannot compute."""
        return self._open(look_at_model)

    def _open(self, load: _Load) -> Backend:
        if self._after is not None:
            wait([self._after.ready])
        for file, version in zip(self.files, self._versions, strict=True):
            if _version(file) != version:
                raise WeightsChanged(file)
        try:
            backend = _open_backend(self._found, self._settings, self._shared, load, self._decided)
        except LoadAborted:
            raise
        except LoafError as error:
            if self._shared.is_one_of_many:
                raise ModelUnusable(self._found.name, error) from error
            raise
        self._decided = _Decided(backend.placement, backend.settings)
        return backend

    def _load(
        self, weights: Weights, settings: LoadSettings, adapters: Sequence[Adapter], offload: Offload | None
    ) -> LlamaModel:
        return load_model(weights, settings, self._loading.ended, adapters, offload, self._loading.report)


def _disk(settings: DiskSettings, key: str) -> Disk:
    from runtime.engine.disk import Disk  # most servers have none

    return Disk(settings.folder, settings.size, key, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _version(file: Path) -> tuple[int, ...]:
    """What tells whether it is another by now. Raises `OSError`."""
    status = file.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _files(found: Found, settings: EngineSettings, bundle: Bundle | None) -> tuple[Path, ...]:
    """What it is loaded from, and what is looked into later."""
    draft = draft_of(found, settings)
    weights = [found.weights, *(adapter.weights for adapter in (*found.adapters, *settings.adapters))]
    weights += filter(None, [found.projector, settings.projector, draft.weights if draft is not None else None])
    paths = [path for one in weights for path in one.parts()]
    paths += [path for path, _scale in settings.control.files]
    return tuple(dict.fromkeys(paths if bundle is None else (*paths, bundle.path)))
