"""The demo model, which is part of the package."""

from __future__ import annotations

from pathlib import Path

import bundler.demo
from bundler.sources.resolved import Resolved

NAME = "demo"


def resolve() -> Resolved:
    """The embedded weights."""
    return Resolved(Path(bundler.demo.__path__[0]) / "demo.gguf", NAME)
