"""From settings to a running engine: which weights, how much context, how many threads.

Knows bundles, settings and the machine. Refuses to know HTTP and the terminal.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from runtime.bundle import Bundle
from runtime.engine.backend import Backend, ContextSettings, ModelFacts, Placement, Weights
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.errors import LoafError
from runtime.machine import available_memory, usable_processors
from runtime.offloading import open_where_it_fits, placements
from runtime.settings import EngineSettings, Settings


class NoModel(LoafError):
    """There are no weights: the program was not launched from a bundle, and none were named."""

    def __init__(self) -> None:
        super().__init__("no model", "Name one with -m FILE.gguf, or run a bundle.")


class ServedModel(msgspec.Struct, frozen=True):
    """The model being served: its name for clients, its weights, and the engine that runs it.

    `size` of the weights in bytes, `digest` their SHA-256 in hex: "" where no bundle has it.
    """

    name: str
    weights: Weights
    size: int
    digest: str
    engine: Engine
    abort_load: threading.Event

    def stop(self) -> None:
        """End loading or generating. Returns at once; `engine.join` waits."""
        self.abort_load.set()
        self.engine.stop()


def open_model(bundle: Bundle | None, settings: Settings) -> ServedModel:
    """Start loading the model that `settings` name, or the bundle's own. Raises `NoModel`, `OSError`."""
    name, weights, size, digest = _find_weights(bundle, settings.model)
    abort_load = threading.Event()

    def open_with(placement: Placement) -> Backend:
        model = load_model(weights, settings.engine.load, abort_load, settings.engine.adapters, placement.offload)
        try:
            return LlamaBackend(model, _context_settings(settings.engine, model.facts, placement), placement)
        except BaseException:
            model.close()
            raise

    def open_backend() -> Backend:
        return open_where_it_fits(placements(bundle, settings.gpu, settings.engine, weights), open_with)

    # Where states of slots are kept, slots are known by their numbers: what is in them stays there.
    shelf_bytes = 0 if settings.server.slot_save_path else settings.engine.shelf_bytes
    engine = Engine(open_backend, shifts=settings.engine.context_shift, shelf_bytes=shelf_bytes)
    engine.start()
    return ServedModel(name, weights, size, digest, engine, abort_load)


def _find_weights(bundle: Bundle | None, outside: Path | None) -> tuple[str, Weights, int, str]:
    if outside is not None:
        with outside.open("rb"):  # says now what is wrong with it, in the system's words
            pass
        return outside.stem, Weights(outside), outside.stat().st_size, ""
    if bundle is None:
        raise NoModel
    model = bundle.primary_model()
    span = bundle.spans[model.entry]
    digest = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == model.entry)
    return model.name, Weights(bundle.path, span.offset), span.size, digest


def _context_settings(settings: EngineSettings, facts: ModelFacts, placement: Placement) -> ContextSettings:
    n_ctx = settings.n_ctx or _context(facts, placement)
    n_slots = settings.n_slots or choose_slots(facts, n_ctx)
    return ContextSettings(
        n_ctx=n_ctx,
        n_slots=n_slots,
        n_batch=max(min(settings.n_batch, n_ctx), n_slots),  # each slot's next token must fit one batch
        n_ubatch=min(settings.n_ubatch, n_ctx),
        n_threads=settings.n_threads or usable_processors(),
        flash_attention=settings.flash_attention,
        cache_type_k=settings.cache_type_k,
        cache_type_v=settings.cache_type_v,
        max_draft=settings.max_draft,
        pooling=settings.pooling,
    )


def _context(facts: ModelFacts, placement: Placement) -> int:
    if placement.is_whole and placement.n_ctx is not None:
        return placement.n_ctx
    n_ctx = choose_context(facts, available_memory())
    return n_ctx if placement.n_ctx is None else min(n_ctx, placement.n_ctx)


MINIMUM_CONTEXT = 512


def choose_context(facts: ModelFacts, available: int) -> int:
    """The model's own context, or as much of it as fits half of the memory that the weights leave free.

    The other half is for computing, and for the rest of the machine. `available` in bytes; tokens out.
    """
    room = max(available - facts.size, 0) // 2
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
