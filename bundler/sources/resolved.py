"""What every source ends in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Resolved:
    """Weights on this disk. `name` is what they are called where the user gives no other name."""

    path: Path
    name: str
