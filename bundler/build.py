"""Builds a bundle: resolve → inspect → plan → write.

Refuses to know which models go in (`models.py`), where things come to lie in the file (`writing.py`) and how the
programs came to be (`freeze/`, `packs/`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundler.content import Content, FileRange
from bundler.copying import write_all
from bundler.errors import NoRoom, TargetIsNoFile, TargetIsSource, UnusableText
from bundler.freeze import FrozenRuntime
from bundler.models import MAX_NAME, Choose, ChosenModel, choose_models, file_name, refuse
from bundler.packs import BackendPack, Recipe, compiled_pack
from bundler.plan import Plan, PlannedModel, PlannedPart, compiled_part, frozen_parts
from bundler.progress import Progress
from bundler.replacing import replacing
from bundler.writing import size_of, write_parts
from runtime import __version__
from runtime.arguments import parse_arguments
from runtime.bundle import Model
from runtime.head import make_head


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the user asked for: MODEL as on the command line, and what to bake in.

    `also` are further models, each NAME=MODEL or MODEL. `args` and `system` None: what came with the weights of the
    first, if anything. `backends`: for which there are to be packs.
    """

    model: str
    also: tuple[str, ...] = ()
    output: Path | None = None
    name: str | None = None
    args: str | None = None
    system: str | None = None
    backends: tuple[Recipe, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """The finished bundle. Sizes in bytes."""

    path: Path
    size: int
    weights_size: int


def build(
    request: BuildRequest, freeze: Callable[[], FrozenRuntime], progress: Progress, choose: Choose = refuse
) -> Built:
    """Build the bundle and return what was built. The target is replaced only when the new file is whole.

    `freeze` is called once the weights are known to be good: it may take minutes, and so may compiling packs. `choose`
    is asked where a MODEL could mean several.

    Raises `LoafError` for everything a person can act on, `OSError` for what the disk says.
    """
    _check_texts(request)
    models = choose_models(request.model, request.name, request.also, progress, choose)
    target = request.output or Path(f"{file_name(models[0].name)}.loaf")
    for model in models:
        _check_target(target, model.weights)
    packs = tuple(compiled_pack(recipe, progress) for recipe in request.backends)
    plan = _plan(request, models, freeze(), packs)
    _check_room(plan, target)
    with progress.step(f"Writing {target}", plan.size, "bytes") as advance, replacing(target, 0o777) as fd:
        written = write_parts(plan, fd, advance)
        write_all(fd, make_head(written.launcher), 0)
    return Built(target, written.size, sum(part.size for part in plan.weights))


def _check_texts(request: BuildRequest) -> None:
    """Refuse what cannot be stored: bytes that are no text, a name that is none, quotes that are not closed."""
    for option, text in (("--name", request.name), ("--args", request.args), ("--system", request.system)):
        if any("\ud800" <= character <= "\udfff" for character in text or ""):
            raise UnusableText(option, "it holds bytes that are not UTF-8")
    if request.name is not None and not (0 < len(request.name) <= MAX_NAME and request.name.isprintable()):
        raise UnusableText("--name", f"a name has 1 to {MAX_NAME} printable characters")
    parse_arguments(request.args or "", {})


def _plan(
    request: BuildRequest, models: tuple[ChosenModel, ...], frozen: FrozenRuntime, packs: tuple[BackendPack, ...]
) -> Plan:
    source = models[0].source
    runtime, licenses = frozen_parts(frozen)
    return Plan(
        name=models[0].name,
        loaf=__version__,
        models=tuple(PlannedModel(_model(model), _weights(model)) for model in models),
        runtimes=(runtime,),
        packs=tuple(map(compiled_part, packs)),
        documents=(licenses,),
        args=source.args if request.args is None else request.args,
        system=source.system if request.system is None else request.system,
    )


def _weights(model: ChosenModel) -> PlannedPart:
    return PlannedPart(model.entry, model.weights, stated=model.source.sha256, origin=model.source.origin)


def _model(model: ChosenModel) -> Model:
    info = model.info
    return Model(
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
        origin=model.source.origin,
    )


def _check_target(target: Path, weights: Content) -> None:
    """Refuse early what would fail late, or destroy something: a folder, a device, the weights themselves."""
    if target.exists() and not target.is_file():
        raise TargetIsNoFile(target)
    for piece in weights:
        if isinstance(piece, FileRange) and target.exists() and target.samefile(piece.path):
            raise TargetIsSource(target)


def _check_room(plan: Plan, target: Path) -> None:
    needed = size_of(plan)
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise NoRoom(target, needed, free)
