"""What a launch decides, as a report: by deciding it, up to where weights would be read.

Refuses to know how any of it is decided.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from runtime import __version__
from runtime.backends.devices import TITLES
from runtime.backends.preparing import packs_for_here
from runtime.bundle import Bundle
from runtime.chat.fallback import fallback_line
from runtime.confining.confinement import Needs, Plan, plan
from runtime.confining.errors import CannotConfine
from runtime.console.abilities import has_terminal
from runtime.console.meter import large
from runtime.engine.backend import Backend
from runtime.engine.facts import ModelFacts
from runtime.engine.llama.binding import loaded_variant, variants_there
from runtime.engine.llama.layers import NO_LAYERS, layer_sizes
from runtime.engine.placement import Verdict
from runtime.engine.weights import Weights
from runtime.errors import LoafError
from runtime.explaining.machine import describe_cache, describe_devices, describe_machine
from runtime.explaining.report import DraftModel, Machine, Model, Report
from runtime.machine.resources import processors
from runtime.machine.supervised import is_supervised
from runtime.models.loading import look_at_models
from runtime.offloading.placing import own_backend
from runtime.settings import Settings


def describe_launch(bundle: Bundle | None, settings: Settings) -> Report:
    """What `open_models` would do with the same arguments. An error that it would end with is in the report."""
    models: list[Model] = []
    told: tuple[Verdict, ...] = ()
    problem = ""
    try:
        if settings.worker is not None:  # which loads none
            told = own_backend(bundle, settings.gpu).verdicts
        else:
            for name, weights, own, backend in look_at_models(bundle, settings):
                models.append(describe_model(name, weights, own, backend))
                told = told or backend.placement.verdicts
    except LoafError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or 'system'}: {error.strerror or error}"
    told += tuple(_not_asked(bundle, told))
    told += describe_devices(told)
    if not settings.gpu.workers:
        told += (Verdict("RPC", False, "--rpc names no worker"),)
    sandbox: tuple[str, ...] = ()
    try:
        if settings.serves:
            sandbox = tuple(_confinement(settings, models).lines())
    except CannotConfine as error:
        problem = problem or str(error)
    return Report(
        __version__,
        _machine(),
        told,
        tuple(models),
        describe_cache(),
        problem,
        sandbox,
    )


def _confinement(settings: Settings, models: Iterable[Model]) -> Plan:
    """What a server gives up once it is ready. Raises `CannotConfine`."""
    needs = Needs(
        chats=bool(settings.chats) or (settings.chats is None and has_terminal()),
        has_workers=bool(settings.gpu.workers),
        offloads=any(model.n_layers_on_gpus for model in models),
        fetches=settings.chat.media.urls,
        is_supervised=is_supervised(),
    )
    return plan(needs, wanted=settings.server.sandbox)


def describe_running(name: str, weights: Weights, settings: Settings, backend: Backend) -> Report:
    """The same of a model that has been loaded, for those who may not know the machine's folders."""
    model = describe_model(name, weights, settings, backend)
    return Report(__version__, _machine(), backend.placement.verdicts, (model,), file=settings.file_name)


def describe_model(name: str, weights: Weights, settings: Settings, backend: Backend) -> Model:
    """What was decided for the model in `weights`, which `backend` has loaded or looked at."""
    facts, placement, generator = backend.model.facts, backend.placement, backend.generator
    engine = settings.engine
    sizes = _sizes_once(weights) or NO_LAYERS
    cache = sizes.cache(generator.settings.kept()) if generator is not None else (0,) * len(sizes.layers)
    asked_in = fallback_line(backend.model.facts, settings.chat.template) if generator is not None else ""
    sees = backend.projector.line if backend.projector is not None else ""
    n_ctx = generator.n_ctx if generator is not None else 0
    n_layers = len(sizes.layers) + 1
    on_gpus = min(placement.n_layers, n_layers)
    return Model(
        name=name,
        description=_kind(facts),
        license=facts.license,
        title=facts.title,
        has_chat_template=bool(settings.chat.template or facts.chat_template),
        lines=(
            *(placement.lines or ("Computing on the processor",)),
            *filter(None, [backend.warmth.line, sees, asked_in]),
        ),
        n_layers=n_layers,
        n_layers_on_gpus=on_gpus,
        n_ctx=n_ctx,
        n_ctx_train=facts.n_ctx_train,
        n_ctx_source=generator.settings.n_ctx_source if generator is not None else "model",
        n_slots=generator.settings.n_slots if generator is not None else 0,
        n_threads=engine.n_threads or processors().usable,
        n_threads_source="flag" if engine.n_threads else processors().limited_by,
        numa=engine.load.numa or "",
        weights=facts.size,
        weights_on_gpus=sum((*sizes.layers, sizes.output)[n_layers - on_gpus :]),
        mapped=engine.load.mmap,
        locked=engine.load.mlock,
        repacked=facts.repacked,
        context=sum(cache),
        context_on_gpus=sum((*cache, 0)[n_layers - on_gpus :]),
        scratch=backend.scratch,
        draft=_draft(backend),
    )


def _draft(backend: Backend) -> DraftModel | None:
    drafter = backend.drafter
    if drafter is None:
        return None
    facts = drafter.model.facts
    sizes = _sizes_once(drafter.weights) or NO_LAYERS
    return DraftModel(_kind(facts), facts.size, sum(sizes.cache(drafter.context.settings.kept())))


_sizes_once = functools.lru_cache(layer_sizes)


def _kind(facts: ModelFacts) -> str:
    """As in `llama, 1.9 million parameters, Q8_0`. llama.cpp's own description has `?B` for sizes it does not know."""
    return f"{facts.architecture}, {large(facts.parameter_count)} parameters, {facts.quantization}"


def _not_asked(bundle: Bundle | None, told: Iterable[Verdict]) -> Iterable[Verdict]:
    """On the packs in the file about which nobody had to decide."""
    titles = {verdict.backend for verdict in told}
    for pack in packs_for_here(bundle):
        if TITLES[pack.backend] not in titles:
            yield Verdict(TITLES[pack.backend], False, "its pack is in the file, but it was not asked for")


def _machine() -> Machine:
    return describe_machine(loaded_variant(), variants_there())
