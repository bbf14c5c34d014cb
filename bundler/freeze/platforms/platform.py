"""The verbs of a platform. Refuses to know any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bundler.freeze.c_library import CLibrary
from bundler.progress import Progress


@dataclass(frozen=True, slots=True)
class Installed:
    """Python for a platform, with all that is frozen.

    `site_packages` is the folder with the packages; `c_library` what that Python runs on. `python(*folders)` is the
    command that runs it here, to which arguments are added; it sees at least `folders`, by their own paths.
    """

    site_packages: Path
    c_library: CLibrary
    python: Callable[..., list[str | Path]]


class Platform(Protocol):
    """A kind of system and processor for which programs are frozen."""

    @property
    def name(self) -> str:
        """As in a bundle: "linux-x86_64"."""

    def compiled_wheel(self, progress: Progress) -> Path:
        """llama-cpp-python for it; compiled when the cache has none.

        Raises what says that something is missing here, and as `wheel.compiled_wheel` does.
        """

    def wheel_made(self) -> Path | None:
        """The wheel if it has been compiled; None: it has not, or nobody can tell here."""

    def key(self, wheel: Path) -> str:
        """Changes with what `installed` returns."""

    def installed(self, wheel: Path, progress: Progress) -> Installed:
        """What is frozen, in the cache. Raises PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError."""
