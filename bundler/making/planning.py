"""Makes plans of what was found, made and asked for: weights, programs, and what is baked in.

Refuses to know how all that came to be (`bundler/choosing/`, `programs/`, `options.py`), and whether a
bundle is made of it or changed (`build.py`, `bundler/changing/`).
"""

from __future__ import annotations

from bundler.choosing.models import ChosenModel
from bundler.choosing.parts import ChosenPart
from bundler.file.baked import Baked
from bundler.file.content import Inline
from bundler.file.plan import Plan, PlannedModel, PlannedPack, PlannedPart
from bundler.programs import MediaPacks, Runtimes
from runtime.bundle import LICENSE_TEXT, README, WARM_TEXT, Model


def plan_bundle(
    sha256: str | None,
    baked: Baked,
    models: tuple[ChosenModel, ...],
    parts: tuple[ChosenPart, ...],
    runtimes: Runtimes,
    packs: tuple[PlannedPack, ...],
    media: MediaPacks,
) -> Plan:
    """All that goes into a new bundle. `sha256`: what the weights of the first model must come to, in hex."""
    first, *others = models
    return Plan(
        name=first.name,
        loaf=runtimes.loaf,
        models=(planned_model(first, sha256), *map(planned_model, others), *map(planned_part, parts)),
        runtimes=runtimes.programs,
        packs=packs,
        documents=(*runtimes.licenses, *media.licenses, *planned_texts(baked)),
        args=baked.arguments(),
        system=baked.system,
        chat_template=baked.chat_template,
        media=media.packs,
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


def planned_texts(baked: Baked) -> tuple[PlannedPart, ...]:
    """What is baked in for people to read, and what is computed beforehand."""
    texts = ((LICENSE_TEXT, baked.license), (README, baked.readme), (WARM_TEXT, baked.warm))
    return tuple(PlannedPart(name, (Inline(text.encode()),)) for name, text in texts if text)
