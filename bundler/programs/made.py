"""Programs that are made on this machine, for its own kind of system and those that it can freeze programs for.

Refuses to know how (`bundler/freeze/`, `bundler/packs/`).
"""

from __future__ import annotations

from collections.abc import Sequence

from bundler.file.content import FileRange
from bundler.file.plan import PlannedMedia, PlannedPack, PlannedPart, PlannedRuntime
from bundler.freeze import (
    FrozenMedia,
    FrozenRuntime,
    Software,
    find_platform,
    freeze_media,
    freeze_runtime,
    frozen_runtimes,
    this_platform,
)
from bundler.freeze.compiler import find_compiler
from bundler.freeze.libraries import libraries_key
from bundler.freeze.media import LIBRARY
from bundler.packs import BackendPack, Recipe, compiled_pack, packs_made
from bundler.programs.supply import (
    MEDIA_LICENSES,
    NO_MEDIA,
    RUNTIME_LICENSES,
    MediaPacks,
    Runtimes,
    check_packs,
)
from bundler.progress import Progress
from runtime import __version__
from runtime.bundle import RUNTIMES, MediaPack, Pack, Package, Runtime


class MadeHere:
    """Compiled and frozen when they are asked for, and kept in the build cache.

    `complete`: with all variants for processors, not only those that matter on this machine.
    """

    is_named = False

    def __init__(self, progress: Progress, *, complete: bool = False) -> None:
        self._progress = progress
        self._complete = complete

    def check(self, recipes: Sequence[Recipe], platforms: Sequence[str] = ()) -> None:
        for name in platforms:
            find_platform(name)
        check_packs(recipes, platforms, self.pack_platforms())
        for recipe in recipes:
            recipe.find_toolchain()

    def runtimes(self, platforms: Sequence[str] = ()) -> Runtimes:
        named = [find_platform(name) for name in platforms]  # all are known before the first takes its minutes
        frozen = [freeze_runtime(self._progress, platform, complete=self._complete) for platform in named]
        return planned_runtimes(frozen or frozen_runtimes(self._progress, complete=self._complete))

    def media(self, platforms: Sequence[str]) -> MediaPacks:
        return planned_media([freeze_media(self._progress, find_platform(name)) for name in platforms])

    def pack_platforms(self) -> tuple[str, ...]:
        return (this_platform().name,)

    def packs(self, recipes: Sequence[Recipe]) -> tuple[PlannedPack, ...]:
        return tuple(planned_pack(compiled_pack(recipe, self._progress)) for recipe in recipes)

    def packs_at_hand(self) -> tuple[PlannedPack, ...]:
        here, fits = this_platform().name, libraries_key(find_compiler())
        made = {pack.backend: pack for pack in packs_made() if (pack.platform, pack.fits) == (here, fits)}
        return tuple(map(planned_pack, made.values()))


def planned_runtimes(frozen: Sequence[FrozenRuntime], loaf: str = __version__) -> Runtimes:
    """Programs of the version `loaf` that were frozen on this machine."""
    return Runtimes(loaf, *planned_programs(frozen, "core.tar.gz", RUNTIME_LICENSES))


def planned_programs(
    frozen: Sequence[FrozenRuntime], archive: str, licenses: str
) -> tuple[tuple[PlannedRuntime, ...], tuple[PlannedPart, ...]]:
    """Frozen programs, each called `archive` among those of its platform, and texts whose names begin with `licenses`.

    A text of licences that several have is there once.
    """
    named: dict[bytes, str] = {}
    programs, texts = [], []
    for one in frozen:
        name = f"{licenses}-{one.platform}.txt" if named else f"{licenses}.txt"
        program, text = _planned_program(one, archive, name)
        programs.append(program)
        if named.setdefault(one.licenses.read_bytes(), name) == name:
            texts.append(text)
    return tuple(programs), tuple(texts)


def _planned_program(frozen: FrozenRuntime, archive: str, licenses: str) -> tuple[PlannedRuntime, PlannedPart]:
    about = Runtime(
        platform=frozen.platform,
        entry=f"{RUNTIMES}{frozen.platform}/{archive}",
        program=frozen.executable,
        unpacked_size=frozen.unpacked_size,
        glibc=frozen.glibc,
        python=frozen.python,
        packages=_packages(frozen.packages),
        libraries=_packages(frozen.libraries),
        variants=frozen.variants,
    )
    core = PlannedPart(about.entry, (FileRange(frozen.archive, 0, frozen.size),), stated=frozen.sha256)
    size = frozen.licenses.stat().st_size
    return PlannedRuntime(about, core), PlannedPart(licenses, (FileRange(frozen.licenses, 0, size),))


def planned_media(frozen: Sequence[FrozenMedia]) -> MediaPacks:
    """What pictures need, as it was made on this machine: all have the same licences."""
    if not frozen:
        return NO_MEDIA
    text = FileRange(frozen[0].licenses, 0, frozen[0].licenses.stat().st_size)
    return MediaPacks(tuple(map(_planned_media, frozen)), (PlannedPart(MEDIA_LICENSES, (text,)),))


def _planned_media(one: FrozenMedia) -> PlannedMedia:
    entry = f"{RUNTIMES}{one.platform}/media.tar.gz"
    about = MediaPack(one.platform, entry, one.unpacked_size, LIBRARY, _packages(one.packages))
    return PlannedMedia(about, PlannedPart(entry, (FileRange(one.archive, 0, one.size),), stated=one.sha256))


def planned_pack(pack: BackendPack) -> PlannedPack:
    """A backend that was compiled on this machine."""
    entry = f"{RUNTIMES}{pack.platform}/{pack.backend}.tar.gz"
    about = Pack(pack.platform, pack.backend, entry, pack.unpacked_size, pack.library, pack.needs)
    return PlannedPack(about, PlannedPart(entry, (FileRange(pack.archive, 0, pack.size),), stated=pack.sha256))


def _packages(software: Sequence[Software]) -> tuple[Package, ...]:
    return tuple(Package(one.name, one.version, one.license) for one in software)
