"""Programs out of a file that has them: any bundle, or `dist/loaf`.

What is taken has been read to its end and has the SHA-256 that the file's manifest says, so that no damage is handed
on. Refuses to know how it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bundler.errors import MediaPackMissing, NoSuchPlatform, PackMissing, ProgramDamaged
from bundler.file.digests import digests_of
from bundler.file.plan import Plan, PlannedPack, PlannedPart, PlannedRuntime, plan_of
from bundler.packs import Recipe
from bundler.programs.supply import MediaPacks, Runtimes, check_packs, is_of_media, is_of_runtimes
from bundler.progress import Progress
from runtime.bundle import open_bundle


class TakenFrom:
    """The programs in the bundle `path`."""

    def __init__(self, path: Path, progress: Progress, *, is_named: bool) -> None:
        self.is_named = is_named
        self._path = path
        self._progress = progress
        self._checked: set[str] = set()

    def check(self, recipes: Sequence[Recipe], platforms: Sequence[str] = ()) -> None:
        self._wanted(recipes)
        self._picked(self._plan(), platforms)
        check_packs(recipes, platforms, self.pack_platforms())

    def runtimes(self, platforms: Sequence[str] = ()) -> Runtimes:
        """As `Supply` has it; the licences of all, since a text may be of several."""
        plan = self._plan()
        programs, licenses = self._picked(plan, platforms), tuple(filter(is_of_runtimes, plan.documents))
        for part in (*(runtime.core for runtime in programs), *licenses):
            self._check(part)
        if self.is_named:
            names = ", ".join(runtime.about.platform for runtime in programs)
            self._progress.say(f"The program is from {self._path}: loaf {plan.loaf} for {names}.")
        return Runtimes(plan.loaf, programs, licenses)

    def media(self, platforms: Sequence[str]) -> MediaPacks:
        plan = self._plan()
        there = {media.about.platform: media for media in plan.media}
        for platform in platforms:
            if platform not in there:
                raise MediaPackMissing(self._path, platform)
        packs = tuple(there[one] for one in platforms)
        licenses = tuple(filter(is_of_media, plan.documents)) if packs else ()
        for part in (*(media.archive for media in packs), *licenses):
            self._check(part)
        return MediaPacks(packs, licenses)

    def pack_platforms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pack.about.platform for pack in self._plan().packs))

    def packs(self, recipes: Sequence[Recipe]) -> tuple[PlannedPack, ...]:
        return tuple(map(self._whole, self._wanted(recipes)))

    def packs_at_hand(self) -> tuple[PlannedPack, ...]:
        return tuple(map(self._whole, self._plan().packs))

    def _picked(self, plan: Plan, platforms: Sequence[str]) -> tuple[PlannedRuntime, ...]:
        """The runtimes for `platforms`; none named: all. Raises `NoSuchPlatform`."""
        there = {runtime.about.platform: runtime for runtime in plan.runtimes}
        for platform in platforms:
            if platform not in there:
                raise NoSuchPlatform(platform, list(there), self._path)
        return tuple(there[platform] for platform in platforms) or plan.runtimes

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
