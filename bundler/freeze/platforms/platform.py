"""The verbs of a platform. Refuses to know any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bundler.freeze.c_library import CLibrary
from bundler.freeze.pins import Frozen
from bundler.progress import Progress


@dataclass(frozen=True, slots=True)
class Installed:
    """Python for a platform, with all that is frozen.

    `packages` are the folders with them; `c_library` is what that Python runs on. `python(*folders)` is the
    command that runs it here, to which arguments are added; it sees at least `folders`, by their own paths.
    """

    packages: tuple[Path, ...]
    c_library: CLibrary
    python: Callable[..., list[str | Path]]


class Platform(Protocol):
    """A kind of system and processor for which programs are frozen."""

    @property
    def name(self) -> str:
        """As in a bundle: "linux-x86_64"."""

    def compiled_package(self, progress: Progress, *, complete: bool = False) -> Path:
        """llama-cpp-python for it, compiled where the cache has none; `complete`: with all variants for processors.

        Raises what says that something is missing here, and as `llama.compiled_package` does.
        """

    def package_made(self, *, complete: bool = False) -> Path | None:
        """The same if it has been compiled; None: it has not, or nobody can tell here."""

    def compiled_mtmd(self, progress: Progress) -> Path:
        """The folder with libmtmd for it, which no program has in it; as `compiled_package` raises."""

    def key(self, frozen: Frozen) -> str:
        """Changes with what `installed` returns, but for llama-cpp-python."""

    def install(self, frozen: Frozen, progress: Progress) -> None:
        """Do what `installed` takes time for.

        Raises PackagesUnreachable, StepFailed, PythonUnsuitable, CacheError, and as `compiled_package` does.
        """

    def installed(self, frozen: Frozen, progress: Progress, *compiled: Path) -> Installed:
        """What is frozen, in the cache. Raises as `install` does.

        `compiled` is what `compiled_package` has returned, where the program has it.
        """
