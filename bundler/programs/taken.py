"""Programs out of a file that has them: any bundle, or `dist/loaf`.

What is taken has been read to its end and has the SHA-256 that the file's manifest says, so that no damage is handed
on. Refuses to know how it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bundler.errors import PackMissing, ProgramDamaged
from bundler.file.digests import digests_of
from bundler.file.plan import Plan, PlannedPack, PlannedPart, plan_of
from bundler.packs import Recipe
from bundler.programs.supply import RUNTIME_LICENSES, Runtimes
from bundler.progress import Progress
from runtime.bundle import open_bundle


class TakenFrom:
    """The programs in the bundle `path`."""

    def __init__(self, path: Path, progress: Progress, *, is_named: bool) -> None:
        self.is_named = is_named
        self._path = path
        self._progress = progress
        self._checked: set[str] = set()

    def check(self, recipes: Sequence[Recipe]) -> None:
        self._wanted(recipes)

    def runtimes(self) -> Runtimes:
        plan = self._plan()
        licenses = tuple(part for part in plan.documents if part.name.startswith(RUNTIME_LICENSES))
        for part in (*(runtime.core for runtime in plan.runtimes), *licenses):
            self._check(part)
        if self.is_named:
            platforms = ", ".join(runtime.about.platform for runtime in plan.runtimes)
            self._progress.say(f"The program is from {self._path}: loaf {plan.loaf} for {platforms}.")
        return Runtimes(plan.loaf, plan.runtimes, licenses)

    def packs(self, recipes: Sequence[Recipe]) -> tuple[PlannedPack, ...]:
        return tuple(map(self._whole, self._wanted(recipes)))

    def packs_at_hand(self) -> tuple[PlannedPack, ...]:
        return tuple(map(self._whole, self._plan().packs))

    def _wanted(self, recipes: Sequence[Recipe]) -> tuple[PlannedPack, ...]:
        there = self._plan().packs
        for recipe in recipes:
            if recipe.chips is not None or recipe.backend not in {pack.about.backend for pack in there}:
                raise PackMissing(self._path, recipe.backend, recipe.chips, [pack.about.backend for pack in there])
        wanted = {recipe.backend for recipe in recipes}
        return tuple(pack for pack in there if pack.about.backend in wanted)

    def _whole(self, pack: PlannedPack) -> PlannedPack:
        self._check(pack.archive)
        return pack

    def _check(self, part: PlannedPart) -> None:
        """Raises `ProgramDamaged`. What lies beside the file (`loaf run`) is as much a part of it."""
        if part.name not in self._checked:
            if digests_of(part.content, lambda _bytes: None).sha256 != part.sha256:
                raise ProgramDamaged(self._path, part.name)
            self._checked.add(part.name)

    def _plan(self) -> Plan:
        return plan_of(open_bundle(self._path))
