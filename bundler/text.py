"""Numbers for people, and JSON. Foreign text in one line: `runtime.errors.escaped`."""

from __future__ import annotations

import json
from typing import Any

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def human_size(size: float) -> str:
    """Bytes with a unit of 1000, as disks and downloads count: "4.1 GB"."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def human_count(count: float) -> str:
    """A number of parameters as models are named by: "1.2 B"."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f}"


def as_json(value: Any) -> str:
    """For programs, and for terminals, which take some characters for orders that JSON has as they are."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
