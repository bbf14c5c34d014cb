"""The programs that go into a bundle besides weights: runtimes, one a platform, and packs for GPUs.

supply → what is asked of whoever has them          made → compiled and frozen on this machine
taken → from a bundle that has them, checked        holding → a bundle of nothing but programs, `dist/loaf` among them

Whoever builds asks `programs_from` once, and is not told which it is. Refuses to know weights, and how programs are
made (`freeze/`, `packs/`).
"""

from __future__ import annotations

from pathlib import Path

from bundler.paths import own_programs
from bundler.programs.made import MadeHere
from bundler.programs.supply import MediaPacks, Runtimes, Supply, is_of_media, is_of_runtimes
from bundler.programs.taken import TakenFrom
from bundler.progress import Progress

__all__ = [
    "MadeHere",
    "MediaPacks",
    "Runtimes",
    "Supply",
    "TakenFrom",
    "is_of_media",
    "is_of_runtimes",
    "programs_from",
]


def programs_from(named: Path | None, progress: Progress) -> Supply:
    """Those in the file that the user has `named`, else those that came with this loaf, else what is made here."""
    file = named or own_programs()
    return MadeHere(progress) if file is None else TakenFrom(file, progress, is_named=named is not None)
