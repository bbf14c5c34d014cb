"""The demo models, which are part of the package: one that reads, and one that sees as well."""

from __future__ import annotations

from pathlib import Path

import bundler.demo
from bundler.errors import SourceNotFound
from bundler.file.baked import Baked, Part
from bundler.sources.resolved import Resolved

NAME = "demo"
VISION = "demo-vision"
NAMES = (NAME, VISION)


def resolve(name: str) -> Resolved:
    """The embedded weights of that one of NAMES; those that see come with their projector.

    Raises `SourceNotFound` where this `loaf` is the one file, which has no weights that see.
    """
    folder = Path(bundler.demo.__path__[0])
    if name == NAME:
        return Resolved(folder / "demo.gguf", NAME)
    if not (folder / "vision").is_dir():
        raise SourceNotFound(name, "is not in this file", "A checkout and the wheel have it; this file has demo.")
    projector = Part("projector", folder / "vision" / "mmproj-vision.gguf", "mmproj-vision")
    return Resolved(folder / "vision" / "vision.gguf", VISION, baked=Baked(parts=(projector,)))
