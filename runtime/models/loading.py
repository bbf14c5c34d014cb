"""From settings to running engines: which weights, how much context, how many threads, and what of memory for each.

Knows bundles, settings and the machine. Refuses to know HTTP and the terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path

import msgspec

from runtime.bundle import Bundle, Model, check_beside
from runtime.engine.backend import (
    Adapter,
    Backend,
    ContextSettings,
    ContextSource,
    LoadSettings,
    ModelFacts,
    Offload,
    Placement,
    Weights,
)
from runtime.engine.engine import Engine
from runtime.engine.errors import LoadAborted, WorkerLost
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model, look_at_model
from runtime.engine.llama.model import LlamaModel
from runtime.engine.worker import Worker
from runtime.errors import LoafError
from runtime.machine.resources import memory, processors
from runtime.models.warmth import warmth_of
from runtime.offloading.placing import open_where_it_fits, placements
from runtime.settings import EngineSettings, Settings


class NoModel(LoafError):
    """There are no weights: the program was not launched from a bundle, and none were named."""

    def __init__(self) -> None:
        super().__init__("no model", "Name one with -m FILE.gguf, or run a bundle.")


class ModelUnusable(LoafError):
    """One of several models could not be loaded; `name` says which, `error` why."""

    def __init__(self, name: str, error: LoafError) -> None:
        super().__init__(f"{name}: {error.message}", error.hint)
        self.name = name
        self.error = error


class Loading:
    """How much of a model's weights has been read, and the way to end it.

    One thread writes `share`, from 0 to 1; any may read it, and set `ended`.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.ended = threading.Event()

    def report(self, share: float) -> None:
        """Called by who reads."""
        self.share = share


class ServedModel(msgspec.Struct, frozen=True):
    """A model being served: its name for clients, its weights, and the engine that runs it.

    `size` of the weights in bytes, `digest` their SHA-256 in hex: "" where no bundle has it.
    """

    name: str
    weights: Weights
    size: int
    digest: str
    engine: Engine
    loading: Loading

    def stop(self) -> None:
        """End loading or generating. Returns at once; `engine.join` waits."""
        self.loading.ended.set()
        self.engine.stop()


def loaded_share(served: Sequence[ServedModel]) -> float:
    """How much of all their weights has been read, from 0 to 1."""
    return sum(one.loading.share * one.size for one in served) / max(sum(one.size for one in served), 1)


class _Found(msgspec.Struct, frozen=True):
    """Weights to be served, with the adapters that lie beside them.

    `keeps_cache`: whether computing with them takes memory for each token. `is_first` of the bundle's models.
    """

    name: str
    weights: Weights
    size: int
    digest: str
    keeps_cache: bool
    adapters: tuple[Adapter, ...] = ()
    is_first: bool = False


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


def _find_all(bundle: Bundle | None, settings: Settings) -> tuple[list[_Found], _Shared]:
    found = _find_weights(bundle, settings.model)
    if settings.prompt is not None or not settings.serves:
        found = [next((one for one in found if one.keeps_cache), found[0])]
    free = share_memory(memory().available, [one.size for one in found], sum(one.keeps_cache for one in found))
    return found, _Shared(bundle, free, len(found) > 1)


_Load = Callable[[Weights, LoadSettings, Sequence[Adapter], Offload | None], LlamaModel]


def _open_backend(found: _Found, settings: Settings, shared: _Shared, load: _Load) -> Backend:
    """The model where it fits, as `load` gives it: `look_at_model`, or `load_model` with a way to end it."""
    adapters = (*found.adapters, *settings.engine.adapters)

    def open_with(placement: Placement) -> Backend:
        model = load(found.weights, settings.engine.load, adapters, placement.offload)
        try:
            sizes = _context_settings(settings.engine, model.facts, placement, shared.free)
            backend = LlamaBackend(model, sizes, placement)
        except BaseException:
            model.close()
            raise
        if shared.bundle is not None and found.is_first:
            backend.warmth = warmth_of(shared.bundle, settings.engine, backend)
        return backend

    return open_where_it_fits(placements(shared.bundle, settings.gpu, settings.engine, found.weights), open_with)


def _open(found: _Found, settings: Settings, shared: _Shared, worker: Worker, after: Engine | None) -> ServedModel:
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
    shelf_bytes = 0 if settings.server.slot_save_path else settings.engine.shelf_bytes
    engine = Engine(open_backend, shifts=settings.engine.context_shift, shelf_bytes=shelf_bytes, worker=worker)
    engine.start()
    return ServedModel(found.name, found.weights, found.size, found.digest, engine, loading)


def _find_weights(bundle: Bundle | None, outside: Path | None) -> list[_Found]:
    if outside is not None:
        with outside.open("rb"):  # says now what is wrong with it, in the system's words
            pass
        weights = Weights(outside)
        return [_Found(outside.stem, weights, _size(weights), "", keeps_cache=True)]
    if bundle is None:
        raise NoModel
    check_beside(bundle)
    return [_found(bundle, model, is_first=number == 0) for number, model in enumerate(bundle.served_models())]


def _found(bundle: Bundle, model: Model, *, is_first: bool) -> _Found:
    weights = _weights(bundle, model)
    size = _size(weights) if weights.is_split() else bundle.place_of(model.entry).size
    digest = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == model.entry)
    adapters = _adapters(bundle) if is_first else ()
    return _Found(model.name, weights, size, digest, model.keeps_cache, adapters, is_first)


def _size(weights: Weights) -> int:
    return sum(part.stat().st_size for part in weights.parts())


def _weights(bundle: Bundle, model: Model) -> Weights:
    place = bundle.place_of(model.entry)
    return Weights(place.path, place.offset)


def _adapters(bundle: Bundle) -> tuple[Adapter, ...]:
    """Those of the bundle's first model."""
    return tuple(Adapter(adapter.name, _weights(bundle, adapter), adapter.scale) for adapter in bundle.adapters())


def _context_settings(settings: EngineSettings, facts: ModelFacts, placement: Placement, free: int) -> ContextSettings:
    n_ctx = settings.n_ctx or _context(facts, placement, free)
    if not settings.beyond_training:
        n_ctx = min(n_ctx, facts.n_ctx_train)
    source: ContextSource = "device" if n_ctx == placement.n_ctx else "memory"
    if n_ctx in (settings.n_ctx, facts.n_ctx_train):
        source = "flag" if n_ctx == settings.n_ctx else "model"
    n_slots = settings.n_slots or choose_slots(facts, n_ctx)
    return ContextSettings(
        n_ctx=n_ctx,
        n_slots=n_slots,
        n_batch=max(min(settings.n_batch, n_ctx), n_slots),  # each slot's next token must fit one batch
        n_ubatch=min(settings.n_ubatch, n_ctx),
        n_threads=settings.n_threads or processors().usable,
        flash_attention=settings.flash_attention,
        cache_type_k=settings.cache_type_k,
        cache_type_v=settings.cache_type_v,
        max_draft=settings.max_draft,
        pooling=settings.pooling,
        n_ctx_source=source,
    )


def _context(facts: ModelFacts, placement: Placement, free: int) -> int:
    if placement.is_whole and placement.n_ctx is not None:
        return placement.n_ctx
    n_ctx = choose_context(facts, free)
    return n_ctx if placement.n_ctx is None else min(n_ctx, placement.n_ctx)


MINIMUM_CONTEXT = 512


def share_memory(available: int, weights: Sequence[int], sharers: int) -> int:
    """What each of `sharers` models may take besides the weights of all. All in bytes."""
    return max(available - sum(weights), 0) // max(sharers, 1)


def choose_context(facts: ModelFacts, free: int) -> int:
    """The model's own context, or as much of it as fits half of the memory that is free for it besides the weights.

    The other half is for computing, and for the rest of the machine. `free` in bytes; tokens out.
    """
    room = max(free - facts.repacked, 0) // 2
    fitting = room // max(facts.kv_bytes, 1) // 256 * 256
    return max(min(facts.n_ctx_train, fitting), min(MINIMUM_CONTEXT, facts.n_ctx_train), 1)


MOST_SLOTS = 16
MOST_STATES = 4
"""Requests at once unless told otherwise; fewer where each needs a state of its own, which is memory."""

WORTHWHILE_SLOT = 512
"""Tokens of context that a request should find; the pool is shared, so this is no bound on what it may take."""


def choose_slots(facts: ModelFacts, n_ctx: int) -> int:
    """How many requests run at once: enough for many clients, as far as the context goes round."""
    return max(1, min(MOST_STATES if facts.keeps_state else MOST_SLOTS, n_ctx // WORTHWHILE_SLOT))
