"""Changes a bundle that is there: what is baked into it, or the program in it.

Knows what a change makes of a plan. Refuses to know how the file is rewritten (`rewriting.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from bundler.asking.rehearsal import rehearse
from bundler.asking.warming import computed, is_of
from bundler.changing.rewriting import finish_interrupted, rewrite
from bundler.choosing.models import ChosenModel
from bundler.choosing.parts import choose_parts
from bundler.errors import AnotherPlatform, DefaultsRefused, NoSuchPlatform, RuntimeOlder, UnusableText
from bundler.file.baked import Baked, PartRole, baked_in
from bundler.file.plan import Plan, PlannedModel, PlannedPack, plan_of
from bundler.gguf import summarize, weights_header
from bundler.making.build import check_texts
from bundler.making.planning import planned_part, planned_texts
from bundler.packs import find_recipe
from bundler.programs import Runtimes, Supply, is_of_media, is_of_runtimes
from bundler.progress import SILENCE, Progress
from bundler.sources import Resolved
from runtime.bundle import LICENSE_TEXT, README, WARM_TEXT, Bundle, Model, check_beside, check_has_models, open_bundle


def set_defaults(path: Path, name: str | None, given: Baked, progress: Progress = SILENCE) -> tuple[Model, ...]:
    """Bake what is `given` into the bundle at `path`, and call its first model `name`; returns all weights in it.

    What is computed beforehand is computed anew where it depends on what is changed: in a step of its own.

    Raises `UnusableText`, `BadArguments`, `DefaultsRefused`, and what `choose_parts` and `rewrite` raise.
    """
    check_texts(name, given)
    bundle = open_bundle(path)
    check_has_models(bundle)
    if name is not None:
        _check_name(bundle, name)
    baked = given.over(baked_in(bundle))
    parts = [planned_part(part) for part in choose_parts(given.parts, _models_of(bundle))] if given.parts else []

    computes_anew = given.warm is not None or given.args is not None or given.chat_template is not None
    computes_anew |= bool(given.flags or parts)

    def changed(plan: Plan) -> Plan:
        named = plan if name is None else _renamed(plan, name)
        return replace(
            named,
            models=_with_parts(named.models, parts, given.without),
            documents=(
                *(one for one in plan.documents if one.name not in (LICENSE_TEXT, README, WARM_TEXT)),
                *planned_texts(baked),
            ),
            args=baked.arguments(),
            system=baked.system,
            chat_template=baked.chat_template,
            warmth=None if computes_anew else plan.warmth,
        )

    future = changed(plan_of(bundle))
    if not future.media and any(model.about.role == "projector" for model in future.models):
        raise DefaultsRefused(
            "it has no pack for pictures and sounds", "Build it anew with --mmproj, or first: loaf upgrade."
        )
    if (future.args, future.chat_template) != (bundle.args, bundle.manifest.chat_template):
        rehearse(future)
    rewrite(path, changed)
    _warm_up(path, progress)
    return tuple(model.about for model in future.models)


def upgrade(path: Path, supply: Supply, progress: Progress) -> bool:
    """Put the runtimes of `supply` into the bundle at `path`, and packs for those that it has; False: it has them.

    Raises `AnotherPlatform`, `RuntimeOlder`, `DefaultsRefused` where the runtime does not understand any more what is
    baked in, and what `supply` and `rewrite` raise.
    """
    bundle = open_bundle(path)
    check_has_models(bundle)
    packs = _packs_like_those_in(bundle, supply)
    new = _for_the_same(bundle, supply)
    sees = any(model.role == "projector" for model in bundle.manifest.models)
    media = supply.media([one.about.platform for one in new.programs] if sees else [])
    if not supply.is_named and _numbers(new.loaf) < _numbers(bundle.manifest.loaf):
        raise RuntimeOlder(path, bundle.manifest.loaf, new.loaf)

    def upgraded(plan: Plan) -> Plan:
        kept = (part for part in plan.documents if not (is_of_runtimes(part) or is_of_media(part)))
        documents = (*new.licenses, *media.licenses, *kept)
        is_warm = plan.warmth is not None and all(is_of(runtime, plan.warmth) for runtime in new.programs)
        warmth = plan.warmth if is_warm else None
        programs = replace(plan, loaf=new.loaf, runtimes=new.programs, packs=packs, media=media.packs)
        return replace(programs, documents=documents, warmth=warmth)

    plan = plan_of(bundle)
    if _programs(upgraded(plan)) == _programs(plan):
        finish_interrupted(path)
        return False
    rehearse(upgraded(plan))
    rewrite(path, upgraded)
    _warm_up(path, progress)
    return True


def _packs_like_those_in(bundle: Bundle, supply: Supply) -> tuple[PlannedPack, ...]:
    """New ones for the backends and platforms that the bundle has packs for. Raises `AnotherPlatform`."""
    has = {(pack.platform, pack.backend) for pack in bundle.manifest.packs}
    recipes = [find_recipe(backend) for backend in dict.fromkeys(pack.backend for pack in bundle.manifest.packs)]
    supply.check(recipes)
    platforms, offered = {platform for platform, _backend in has}, supply.pack_platforms()
    if not platforms <= set(offered):
        raise AnotherPlatform(bundle.path, sorted(platforms), offered)
    return tuple(pack for pack in supply.packs(recipes) if (pack.about.platform, pack.about.backend) in has)


def _for_the_same(bundle: Bundle, supply: Supply) -> Runtimes:
    """Those for the platforms that the bundle has a program for. Raises `AnotherPlatform`."""
    platforms = [runtime.platform for runtime in bundle.manifest.runtimes]
    try:
        return supply.runtimes(platforms)
    except NoSuchPlatform as error:
        raise AnotherPlatform(bundle.path, platforms, error.known) from error


def _numbers(version: str) -> tuple[int, ...]:
    """`1.12.0` is newer than `1.2.0`."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _warm_up(path: Path, progress: Progress) -> None:
    """Compute what the bundle at `path` wants computed beforehand and has not. Raises `DefaultsRefused`."""
    bundle = open_bundle(path)
    text = bundle.text(WARM_TEXT)
    if not text or bundle.manifest.warm is not None:
        return
    try:
        with computed(plan_of(bundle), path, text, progress) as warmth:
            rewrite(path, lambda plan: replace(plan, warmth=warmth))
    except DefaultsRefused as error:
        rewrite(path, _without_warm_text)
        raise DefaultsRefused(error.problem, "All else has been changed; without the text of --warm.") from error


def _without_warm_text(plan: Plan) -> Plan:
    return replace(plan, documents=tuple(one for one in plan.documents if one.name != WARM_TEXT))


def _check_name(bundle: Bundle, name: str) -> None:
    _first, *others = bundle.served_models()
    if name.casefold() in {other.name.casefold() for other in others}:
        raise UnusableText("--name", f"another model of the bundle is called {name}")


def _models_of(bundle: Bundle) -> list[ChosenModel]:
    """The models in the bundle, as adapters are held against them."""
    check_beside(bundle)
    models = []
    for model in bundle.served_models():
        place = bundle.place_of(model.entry)
        header, weights = weights_header(place.path, place.offset, place.size)
        source = Resolved(place.path, model.name, place.offset, place.size)
        models.append(ChosenModel(model.name, model.entry, header, summarize(header), weights, source))
    return models


def _renamed(plan: Plan, name: str) -> Plan:
    """Both the bundle and its first model have the name."""
    first, *others = plan.models
    renamed = replace(first, about=msgspec.structs.replace(first.about, name=name))
    return replace(plan, name=name, models=(renamed, *others))


def _with_parts(
    models: Sequence[PlannedModel], parts: Sequence[PlannedModel], without: Collection[PartRole]
) -> tuple[PlannedModel, ...]:
    """`parts` behind the models that clients may ask, in place of those with the same roles and those `without`."""
    roles = {*(part.about.role for part in parts), *without}
    served = [model for model in models if model.about.role == "model"]
    kept = [model for model in models if model.about.role not in {"model", *roles}]
    return (*served, *parts, *kept)


def _programs(plan: Plan) -> tuple[object, ...]:
    """What tells the programs of one plan from those of another."""
    abouts = (*(runtime.about for runtime in plan.runtimes), *(pack.about for pack in plan.packs))
    return plan.loaf, abouts, tuple(one.about for one in plan.media), tuple(part.sha256 for part in plan.programs)
