"""Samples, their medians, and how they are shown: a table with ratios, targets with yes or no, JSON.

Knows arithmetic and columns. Refuses to know what was measured.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from bundler.progress import format_bytes

Unit = Literal["s", "bytes", "x", "/s", "ms", "%", "tokens"]


@dataclass(slots=True)
class Samples:
    """What was measured, by what (a row of the table) and of whom (a column)."""

    rows: dict[str, Unit]
    """Each row's name and unit, in the order in which they are shown."""
    columns: Sequence[str]
    """The first is the one that the others are compared with."""
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, row: str, column: str, value: float) -> None:
        assert row in self.rows, row
        assert column in self.columns, column
        self.values.setdefault((row, column), []).append(value)

    def median(self, row: str, column: str) -> float:
        return statistics.median(self.values[row, column])

    def ratio(self, of: tuple[str, str], to: tuple[str, str]) -> float:
        """The median of `of` over `to` within each round, since rounds can differ more than contestants do."""
        pairs = zip(self.values[of], self.values[to], strict=True)
        return statistics.median(value / other for value, other in pairs)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the limit it is held against: at most, or with `at_least` at least."""

    text: str
    value: float
    limit: float
    unit: Unit
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def show(title: str, samples: Samples, targets: Sequence[Target]) -> str:
    """The table of medians, each other column with its ratio to the first (`Samples.ratio`), and the targets below."""
    table = [[title, *samples.columns]]
    for row, unit in samples.rows.items():
        if any((row, column) in samples.values for column in samples.columns):
            table.append([row, *(_cell(samples, row, column, unit) for column in samples.columns)])
    lines = _aligned(table)
    if targets:
        verdicts = [
            [target.text, format_value(target.value, target.unit), "yes" if target.met else "no"] for target in targets
        ]
        lines += ["", *_aligned([["target", "measured", "met"], *verdicts])]
    return "\n".join(lines)


def save(path: Path, samples: Samples, targets: Sequence[Target]) -> None:
    """Everything as JSON: medians, single samples in the order they were taken, targets."""
    measures = {
        row: {
            "unit": unit,
            **{
                column: {"median": samples.median(row, column), "samples": samples.values[row, column]}
                for column in samples.columns
                if (row, column) in samples.values
            },
        }
        for row, unit in samples.rows.items()
    }
    machine = {"architecture": platform.machine(), "processors": len(os.sched_getaffinity(0))}
    verdicts = [asdict(target) | {"met": target.met} for target in targets]
    content = {"machine": machine, "measures": measures, "targets": verdicts}
    path.write_text(json.dumps(content, indent=2) + "\n")


def format_value(value: float, unit: Unit) -> str:
    """A figure with its unit and as many digits as mean something."""
    if unit == "bytes":
        return "-" * (value < 0) + format_bytes(round(abs(value)))
    digits = {"s": 3, "ms": 3, "x": 2, "%": 1, "/s": 1, "tokens": 0}[unit]
    return f"{value:,.{digits}f} {unit}"


def _cell(samples: Samples, row: str, column: str, unit: Unit) -> str:
    if (row, column) not in samples.values:
        return "-"
    first = samples.columns[0]
    text = format_value(samples.median(row, column), unit)
    if column == first or not all(samples.values.get((row, first), ())):
        return text
    return f"{text} ({samples.ratio((row, column), (row, first)):.2f} x)"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """First column left, the others right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for name, *cells in table:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]))
    return lines
