"""Where everything that a plan says comes to lie in the file: known, to the last byte, before the first is written.

Knows the order of parts and what is aligned. Refuses to know what they come to (`writing.py`), and how an entry looks
(`archive.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bundler.file.archive import Stored, end_with, place
from bundler.file.manifest import manifest_of
from bundler.file.plan import Plan, PlannedPart
from runtime.bundle import ALIGNMENT, MANIFEST


@dataclass(frozen=True, slots=True)
class Placed:
    """A part, and the entry that it becomes: complete but for what its bytes come to."""

    part: PlannedPart
    entry: Stored


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole bundle. `kept` of it lies in the file already; `placed` is written from `start` on, without a gap.

    `size` is the whole file's, in bytes.
    """

    plan: Plan
    kept: tuple[Stored, ...]
    start: int
    placed: tuple[Placed, ...]
    size: int


def lay_out(plan: Plan, kept: Sequence[Stored] = (), start: int | None = None) -> Layout:
    """`plan` behind the head; `kept` of its weights lie in the file already, and the rest goes from `start` on.

    `start` None: directly behind those.
    """
    if start is None:
        start = end_of(kept)
    large, small = (*plan.weights[len(kept) :], *plan.programs), plan.texts
    placed: list[Placed] = []
    position = start
    for part, alignment in (*((part, ALIGNMENT) for part in large), *((part, 1) for part in small)):
        header_offset, data_offset = place(position, part.name, part.size, alignment)
        placed.append(Placed(part, Stored(part.name, header_offset, data_offset, part.size, 0, "")))
        position = data_offset + part.size
    entries = (*kept, *(one.entry for one in placed))
    size = end_with(entries, position, MANIFEST, len(manifest_of(plan, b"", entries)))
    return Layout(plan, tuple(kept), start, tuple(placed), size)


def end_of(entries: Sequence[Stored]) -> int:
    """Where the last of `entries` ends, or the head."""
    return entries[-1].data_offset + entries[-1].size if entries else ALIGNMENT
