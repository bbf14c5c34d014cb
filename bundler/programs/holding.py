"""Bundles of nothing but programs: `dist/loaf`, which builds with those that it holds, and what lies in a wheel.

Knows what goes in. Refuses to know how it was made (`supply.py`) and how it comes to lie (`bundler/file/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bundler.file.fresh import written
from bundler.file.layout import lay_out
from bundler.file.plan import Plan
from bundler.file.target import check_target
from bundler.freeze.builder import freeze_builder
from bundler.packs import Recipe
from bundler.programs.made import planned_program
from bundler.programs.supply import Supply
from bundler.progress import Progress

_BUILDER_LICENSES = "licenses/builder.txt"


def write_builder(target: Path, supply: Supply, recipes: Sequence[Recipe], progress: Progress) -> int:
    """The `loaf` command as one file, with the runtimes of `supply` and packs of `recipes`; returns its size.

    Raises what `supply` raises, `FreezeError`, `CacheError`, `TargetError`, `OSError`.
    """
    plan = _plan("loaf", supply, recipes)
    builder, licenses = planned_program(freeze_builder(progress), "builder.tar.gz", _BUILDER_LICENSES)
    return _write(replace(plan, builders=(builder,), documents=(*plan.documents, licenses)), target, 0o777, progress)


def write_programs(target: Path, supply: Supply, recipes: Sequence[Recipe], progress: Progress) -> int:
    """The same without the command, for a wheel, which brings it. Raises as `write_builder` does."""
    return _write(_plan("programs", supply, recipes), target, 0o666, progress)


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
