"""What every source ends in: weights on this disk, and what came with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.file.baked import NOTHING_BAKED, Baked


@dataclass(frozen=True, slots=True)
class Resolved:
    """Weights on this disk. `name` is what they are called where the user gives no other name.

    They begin `offset` bytes into the file `path` and have `size` bytes; None: to its end. `sha256` is what the source
    says they are, in hex, where it says so. `baked` is what came with them. `origin` says where they are from, for
    whoever has the bundle: "" where that is only a path on this machine.
    """

    path: Path
    name: str
    offset: int = 0
    size: int | None = None
    sha256: str | None = None
    baked: Baked = NOTHING_BAKED
    origin: str = ""
