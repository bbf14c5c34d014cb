"""Bundles of nothing but programs: `dist/loaf`, which builds with those that it holds, and what lies in a wheel.

Knows what goes in. Refuses to know how it was made (`supply.py`) and how it comes to lie (`bundler/file/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bundler.errors import PlatformUnmakeable
from bundler.file.fresh import written
from bundler.file.layout import lay_out
from bundler.file.plan import Plan
from bundler.file.target import check_target
from bundler.freeze import FrozenRuntime, all_platforms, this_platform
from bundler.freeze.builder import freeze_builder
from bundler.packs import Recipe
from bundler.programs.made import planned_programs
from bundler.programs.supply import Supply
from bundler.progress import Progress

_BUILDER_LICENSES = "licenses/builder"
"""What the names of their licence texts begin with."""


def write_builder(target: Path, supply: Supply, recipes: Sequence[Recipe], progress: Progress) -> int:
    """The `loaf` command as one file, with the runtimes of `supply` and packs of `recipes`; returns its size.

    It is there for each platform that there is a runtime for, where it can be frozen for that here.
    Raises what `supply` raises, `FreezeError`, `CacheError`, `TargetError`, `OSError`.
    """
    plan = _plan("loaf", supply, recipes)
    frozen = _frozen_builders([runtime.about.platform for runtime in plan.runtimes], progress)
    builders, licenses = planned_programs(frozen, "builder.tar.gz", _BUILDER_LICENSES)
    return _write(replace(plan, builders=builders, documents=(*plan.documents, *licenses)), target, 0o777, progress)


def write_programs(target: Path, supply: Supply, recipes: Sequence[Recipe], progress: Progress) -> int:
    """The same without the command, for a wheel, which brings it. Raises as `write_builder` does."""
    return _write(_plan("programs", supply, recipes), target, 0o666, progress)


def _frozen_builders(platforms: Sequence[str], progress: Progress) -> list[FrozenRuntime]:
    """This machine's, and those for the others of `platforms`."""
    here = this_platform()
    frozen = [freeze_builder(here, progress)]
    for platform in (each for each in all_platforms() if each.name != here.name and each.name in platforms):
        try:
            frozen.append(freeze_builder(platform, progress))
        except PlatformUnmakeable as error:
            progress.say(f"The file will not build on {platform.name}: {error}. {error.hint}")
    return frozen


def _plan(name: str, supply: Supply, recipes: Sequence[Recipe]) -> Plan:
    packs, runtimes = supply.packs(recipes), supply.runtimes()
    media = supply.media([program.about.platform for program in runtimes.programs])
    texts = (*runtimes.licenses, *media.licenses)
    return Plan(name, runtimes.loaf, (), runtimes.programs, packs, texts, args="", system=None, media=media.packs)


def _write(plan: Plan, target: Path, mode: int, progress: Progress) -> int:
    check_target(target, (), force=False)
    layout = lay_out(plan)
    with written(layout, target, mode, progress):
        return layout.size
