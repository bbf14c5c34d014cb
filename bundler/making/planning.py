"""Makes plans of what was found, made and asked for: weights, programs, and what is baked in.

Refuses to know how all that came to be (`bundler/choosing/`, `freeze/`, `packs/`, `options.py`), and whether a
bundle is made of it or changed (`build.py`, `bundler/changing/`).
"""

from __future__ import annotations

from collections.abc import Sequence

from bundler.choosing.models import ChosenModel
from bundler.choosing.parts import ChosenPart
from bundler.file.baked import Baked
from bundler.file.content import FileRange, Inline
from bundler.file.plan import Plan, PlannedModel, PlannedPack, PlannedPart, PlannedRuntime
from bundler.freeze import FrozenRuntime, Software
from bundler.packs import BackendPack
from runtime import __version__
from runtime.bundle import LICENSE_TEXT, LICENSES, README, RUNTIMES, WARM_TEXT, Model, Pack, Package, Runtime

_OF_RUNTIME = f"{LICENSES}runtime"
_RUNTIME_LICENSES = f"{_OF_RUNTIME}.txt"


def plan_bundle(
    sha256: str | None,
    baked: Baked,
    models: tuple[ChosenModel, ...],
    parts: tuple[ChosenPart, ...],
    frozen: Sequence[FrozenRuntime],
    packs: tuple[BackendPack, ...],
) -> Plan:
    """All that goes into a new bundle. `sha256`: what the weights of the first model must come to, in hex."""
    first, *others = models
    return Plan(
        name=first.name,
        loaf=__version__,
        models=(planned_model(first, sha256), *map(planned_model, others), *map(planned_part, parts)),
        runtimes=tuple(map(planned_runtime, frozen)),
        packs=tuple(map(planned_pack, packs)),
        documents=(*planned_licenses(frozen), *planned_texts(baked)),
        args=baked.arguments(),
        system=baked.system,
        chat_template=baked.chat_template,
    )


def planned_model(model: ChosenModel, wanted: str | None = None) -> PlannedModel:
    """A model that clients may ask. `wanted`: the SHA-256 that it must have, in hex."""
    info, source = model.info, model.source
    about = Model(
        name=model.name,
        entry=model.entry,
        role="model",
        architecture=info.architecture,
        parameter_count=info.parameter_count,
        quantization=info.quantization,
        context_length=info.context_length,
        license=info.license,
        has_chat_template=info.chat_template is not None,
        keeps_cache=bool(info.layers),
        origin=source.origin,
    )
    weights = PlannedPart(model.entry, model.weights, stated=source.sha256, wanted=wanted, origin=source.origin)
    return PlannedModel(about, weights)


def planned_part(part: ChosenPart) -> PlannedModel:
    """An adapter, projector or draft model of the first model."""
    info = part.info
    about = Model(
        name=part.name,
        entry=part.entry,
        role=part.part.role,
        architecture=info.architecture,
        parameter_count=info.parameter_count,
        quantization=info.quantization,
        license=info.license,
        keeps_cache=False,
        scale=part.part.scale,
    )
    return PlannedModel(about, PlannedPart(part.entry, part.content))


def planned_runtime(frozen: FrozenRuntime) -> PlannedRuntime:
    """A program that was frozen on this machine."""
    about = Runtime(
        platform=frozen.platform,
        entry=f"{RUNTIMES}{frozen.platform}/core.tar.gz",
        program=frozen.executable,
        unpacked_size=frozen.unpacked_size,
        glibc=frozen.glibc,
        python=frozen.python,
        packages=_packages(frozen.packages),
        libraries=_packages(frozen.libraries),
    )
    core = PlannedPart(about.entry, (FileRange(frozen.archive, 0, frozen.size),), stated=frozen.sha256)
    return PlannedRuntime(about, core)


def planned_licenses(frozen: Sequence[FrozenRuntime]) -> tuple[PlannedPart, ...]:
    """The licences of what is in the programs: a text that several have is in the file once."""
    texts = {one.licenses.read_bytes(): one for one in reversed(frozen)}
    kept = [one for one in frozen if one in texts.values()]
    names = [_RUNTIME_LICENSES, *(f"{_OF_RUNTIME}-{one.platform}.txt" for one in kept[1:])]
    return tuple(
        PlannedPart(name, (FileRange(one.licenses, 0, one.licenses.stat().st_size),))
        for name, one in zip(names, kept, strict=True)
    )


def is_of_programs(document: PlannedPart) -> bool:
    """Whether it is one of `planned_licenses`."""
    return document.name.startswith(_OF_RUNTIME)


def _packages(software: Sequence[Software]) -> tuple[Package, ...]:
    return tuple(Package(one.name, one.version, one.license) for one in software)


def planned_pack(pack: BackendPack) -> PlannedPack:
    """A backend that was compiled on this machine."""
    entry = f"{RUNTIMES}{pack.platform}/{pack.backend}.tar.gz"
    about = Pack(pack.platform, pack.backend, entry, pack.unpacked_size, pack.library, pack.needs)
    return PlannedPack(about, PlannedPart(entry, (FileRange(pack.archive, 0, pack.size),), stated=pack.sha256))


def planned_texts(baked: Baked) -> tuple[PlannedPart, ...]:
    """What is baked in for people to read, and what is computed beforehand."""
    texts = ((LICENSE_TEXT, baked.license), (README, baked.readme), (WARM_TEXT, baked.warm))
    return tuple(PlannedPart(name, (Inline(text.encode()),)) for name, text in texts if text)
