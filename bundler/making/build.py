"""Builds a bundle: resolve → inspect (→ quantize) → plan → write.

Refuses to know which weights go in (`bundler/choosing/`), how they are made smaller (`bundler/quantizing/`), where
things come to lie in the file (`bundler/file/`) and where the programs are from (`bundler/programs/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bundler.asking.rehearsal import rehearse, runtime_for_here
from bundler.asking.warming import write_warm
from bundler.choosing.models import MAX_NAME, Choose, ChosenModel, choose_models, file_name, refuse
from bundler.choosing.parts import choose_parts
from bundler.errors import NoProgramForHere, UnusableText
from bundler.file.baked import NOTHING_BAKED, Baked
from bundler.file.beside import put_beside
from bundler.file.digests import check_digest, digests_of
from bundler.file.fresh import written
from bundler.file.layout import Layout, lay_out
from bundler.file.plan import Plan
from bundler.file.target import check_target
from bundler.making.planning import plan_bundle, planned_model
from bundler.packs import Recipe
from bundler.programs import Supply
from bundler.progress import Progress
from bundler.quantizing import Quantization, quantized
from runtime.bundle import Model
from runtime.cli.arguments import parse_arguments


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the user asked for: MODEL as on the command line, and what to bake in.

    `also` are further models, each NAME=MODEL or MODEL. `sha256`: what the weights of the first must come to, in hex.
    `backends`: for which there are to be packs. `quantization`: how the weights of the first are made smaller.
    `external`: the weights stay out of the file. `platforms`: where it is to run, as "linux-aarch64"; none: on all that
    there are programs for. `force`: a file that is no bundle may be replaced.
    """

    model: str
    also: tuple[str, ...] = ()
    output: Path | None = None
    name: str | None = None
    sha256: str | None = None
    baked: Baked = NOTHING_BAKED
    backends: tuple[Recipe, ...] = ()
    quantization: Quantization | None = None
    external: bool = False
    platforms: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """The finished bundle. Sizes in bytes; `models` are all weights in it, `platforms` where it runs."""

    path: Path
    size: int
    weights_size: int
    models: tuple[Model, ...]
    platforms: tuple[str, ...]


def build(request: BuildRequest, supply: Supply, progress: Progress, choose: Choose = refuse) -> Built:
    """Build the bundle and return what was built. The target is replaced only when the new file is whole.

    `supply` is asked for programs once the weights are known to be good: that may take minutes. `choose` is asked where
    a MODEL could mean several.

    Raises `LoafError` for everything a person can act on, `OSError` for what the disk says.
    """
    check_texts(request.name, request.baked)
    rename = request.quantization.name_of if request.quantization else str
    models = choose_models(request.model, request.name, request.also, progress, choose, rename)
    target = request.output or Path(f"{file_name(models[0].name)}.loaf")
    baked = request.baked.over(models[0].source.baked)
    parts = choose_parts(baked.parts, models)
    contents = (*(model.weights for model in models), *(part.content for part in parts))
    check_target(target, contents, force=request.force)
    packs, runtimes = supply.packs(request.backends), supply.runtimes(request.platforms)
    sees = any(part.part.role == "projector" for part in parts)
    media = supply.media([one.about.platform for one in runtimes.programs] if sees else [])
    plan = plan_bundle(request.sha256, baked, models, parts, runtimes, packs, media)
    rehearse(plan)
    with _first_made_smaller(request, plan, models[0], target, progress) as plan:
        weights_size = sum(part.size for part in plan.weights)
        if request.external:
            with progress.step("Writing the weights", weights_size, "bytes") as advance:
                plan = put_beside(plan, target, advance)
        size = _write(lay_out(plan), target, baked.warm, progress)
    return Built(target, size, weights_size, tuple(model.about for model in plan.models), _platforms(plan))


def _platforms(plan: Plan) -> tuple[str, ...]:
    return tuple(runtime.about.platform for runtime in plan.runtimes)


@contextmanager
def _first_made_smaller(
    request: BuildRequest, plan: Plan, first: ChosenModel, target: Path, progress: Progress
) -> Iterator[Plan]:
    """`plan`, or what becomes of it where its `first` model is to be quantized, while the block runs.

    What that model's weights must come to is checked before, since afterwards they are others.
    """
    if request.quantization is None:
        yield plan
        return
    weights = plan.models[0].weights
    if (weights.stated, weights.wanted) != (None, None):
        with progress.step(f"Checking {request.model}", weights.size, "bytes") as advance:
            check_digest(weights, digests_of(weights.content, advance).sha256)
    runtime = runtime_for_here(plan.runtimes)
    if runtime is None:
        raise NoProgramForHere("--quantize", [one.about.platform for one in plan.runtimes])
    with quantized(first, request.model, request.quantization, runtime, target, progress) as smaller:
        yield replace(plan, models=(planned_model(smaller), *plan.models[1:]))


def check_texts(name: str | None, baked: Baked) -> None:
    """Refuse what cannot be stored: bytes that are no text, a name that is none, quotes that are not closed.

    Raises `UnusableText`, `BadArguments`.
    """
    for option, text in (("--name", name), ("--args", baked.args), ("--system", baked.system)):
        if any("\ud800" <= character <= "\udfff" for character in text or ""):
            raise UnusableText(option, "it holds bytes that are not UTF-8")
    if name is not None and not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise UnusableText("--name", f"a name has 1 to {MAX_NAME} printable characters")
    parse_arguments(baked.arguments(), {})


def _write(layout: Layout, target: Path, warm: str | None, progress: Progress) -> int:
    """Everything, and what is computed of `warm`; returns the size of the file."""
    with written(layout, target, 0o777, progress) as fd:
        return write_warm(layout.plan, fd, warm, progress) if warm else layout.size
