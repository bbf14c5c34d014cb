"""What is asked of whoever has programs. Refuses to know who that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bundler.errors import NoPackForPlatform
from bundler.file.plan import PlannedMedia, PlannedPack, PlannedPart, PlannedRuntime
from bundler.packs import Recipe

RUNTIME_LICENSES = "licenses/runtime"
"""What the names of their licence texts begin with."""

MEDIA_LICENSES = "licenses/media.txt"
"""The name of the licence text of media packs."""


@dataclass(frozen=True, slots=True)
class Runtimes:
    """Frozen programs of the version `loaf`, one a platform, and the `licenses` of what is in them."""

    loaf: str
    programs: tuple[PlannedRuntime, ...]
    licenses: tuple[PlannedPart, ...]


@dataclass(frozen=True, slots=True)
class MediaPacks:
    """What pictures need, one a platform, and the `licenses` of what is in it."""

    packs: tuple[PlannedMedia, ...]
    licenses: tuple[PlannedPart, ...]


NO_MEDIA = MediaPacks((), ())


def is_of_media(document: PlannedPart) -> bool:
    """Whether it is one of the licence texts of `MediaPacks`."""
    return document.name == MEDIA_LICENSES


def is_of_runtimes(document: PlannedPart) -> bool:
    """Whether it is one of the licence texts of `Runtimes`."""
    return document.name.startswith(RUNTIME_LICENSES)


def check_packs(recipes: Sequence[Recipe], platforms: Sequence[str], has: Sequence[str]) -> None:
    """Raises NoPackForPlatform where packs of `recipes` are wanted for `platforms`, and `has` are none of these.

    No platform named: all that there are programs for.
    """
    if recipes and platforms and not {*platforms} & {*has}:
        raise NoPackForPlatform(recipes[0].backend, platforms, has)


class Supply(Protocol):
    """`is_named`: the user has asked for these programs, be they older than what they replace."""

    @property
    def is_named(self) -> bool:
        """See above."""

    def check(self, recipes: Sequence[Recipe], platforms: Sequence[str] = ()) -> None:
        """Say at once if the packs of `recipes`, or runtimes for `platforms`, cannot be had.

        Raises `ToolchainMissing`, `PackMissing`, `NoSuchPlatform`, `NoPackForPlatform`.
        """

    def runtimes(self, platforms: Sequence[str] = ()) -> Runtimes:
        """Those for `platforms`, as "linux-aarch64", in this order; none named: all that there are. May take minutes.

        Raises `NoSuchPlatform`, other kinds of `FreezeError`, `CacheError`, `BundleError`, `OSError`.
        """

    def media(self, platforms: Sequence[str]) -> MediaPacks:
        """What pictures need on each of `platforms`. Raises as `runtimes` does, and `MediaPackMissing`."""

    def pack_platforms(self) -> tuple[str, ...]:
        """Those that `packs` are for. Raises `BundleError`, `OSError`."""

    def packs(self, recipes: Sequence[Recipe]) -> tuple[PlannedPack, ...]:
        """Those of `recipes`; may take minutes. Raises as `runtimes` does, and what `check` raises."""

    def packs_at_hand(self) -> tuple[PlannedPack, ...]:
        """Those that are there already, and fit the runtimes. Raises as `runtimes` does."""
