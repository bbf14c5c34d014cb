"""Tables (GitHub's form of them) in columns that fit, or as records where no columns do. Whole rows in, spans out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runtime.console.markdown.inline import inline
from runtime.console.markdown.span import Look, Span, width_of_spans
from runtime.console.markdown.wrapping import lines_of
from runtime.console.widths import width_of

_DELIMITER = re.compile(r"\s*:?-+:?\s*")
_CELL = re.compile(r"(?:[^|\\`]|\\.|(`+)(?:(?!\1).)+\1|`|\\$)*")
_BETWEEN, _CROSSING = Span(" │ ", Look.FAINT), "─┼─"
_NARROWEST = 12
"""Columns that no cell needs more of to be read, however long its words are."""

_Cell = list[Span]


def is_table(rows: Sequence[str]) -> bool:
    """Whether the second of `rows` is what makes a table of them."""
    return len(rows) >= 2 and all(_DELIMITER.fullmatch(cell) for cell in _cells(rows[1]))


def table(rows: Sequence[str], width: int) -> list[Span]:
    """`rows` that `is_table` holds for, each with its newline."""
    alignments = [cell.strip() for cell in _cells(rows[1])]
    count = len(alignments)
    head = [inline(cell, Look.BOLD) for cell in _filled(_cells(rows[0]), count)]
    body = [[inline(cell) for cell in _filled(_cells(row), count)] for row in rows[2:]]
    wanted = [max(width_of_spans(row[i]) for row in [head, *body]) for i in range(count)]
    least = [min(max(_longest_word(row[i]) for row in [head, *body]), _NARROWEST) for i in range(count)]
    widths = _fitted(wanted, least, width - 3 * (count - 1))
    if widths is None:
        return _records(head, body, width)
    out = _row(head, widths, alignments)
    out += [Span(_CROSSING.join("─" * each for each in widths), Look.FAINT), Span("\n")]
    for row in body:
        out += _row(row, widths, alignments)
    return out


def _cells(row: str) -> list[str]:
    """What is between the bars; those in code and after a backslash are none."""
    text = row.strip().removeprefix("|")
    cells: list[str] = []
    place = 0
    while place <= len(text):
        found = _CELL.match(text, place)
        assert found is not None, "it matches nothing, too"
        end = found.end() if found.end() == len(text) or text[found.end()] == "|" else len(text)
        cells.append(text[place:end].strip().replace("\\|", "|"))
        place = end + 1
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def _filled(cells: list[str], count: int) -> list[str]:
    return [*cells, *[""] * count][:count]


def _longest_word(cell: _Cell) -> int:
    return max(map(width_of, "".join(span.text for span in cell).split()), default=1)


def _fitted(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """The widths of columns, the widest made narrower until all fit; None where `least` of each is too much."""
    if sum(least) > room:
        return None
    widths = [max(each, 1) for each in wanted]
    while sum(widths) > room:
        shrinking = [i for i, each in enumerate(widths) if each > least[i]]
        widths[max(shrinking, key=widths.__getitem__)] -= 1
    return widths


def _row(cells: Sequence[_Cell], widths: Sequence[int], alignments: Sequence[str]) -> list[Span]:
    """The lines of a row, as many as its highest cell has."""
    lines = [lines_of(cell, width) for cell, width in zip(cells, widths, strict=True)]
    out: list[Span] = []
    for n in range(max(map(len, lines))):
        for i, cell in enumerate(lines):
            out += [_BETWEEN] if i else []
            out += _aligned(cell[n] if n < len(cell) else [], widths[i], alignments[i], is_last=i == len(lines) - 1)
        out.append(Span("\n"))
    return out


def _aligned(line: list[Span], width: int, alignment: str, *, is_last: bool) -> list[Span]:
    room = max(width - width_of_spans(line), 0)
    before = 0
    if alignment.endswith(":"):
        before = room // 2 if alignment.startswith(":") else room
    after = 0 if is_last else room - before
    return [Span(" " * before), *line, Span(" " * after)]


def _records(head: Sequence[_Cell], body: Sequence[Sequence[_Cell]], width: int) -> list[Span]:
    """Each row as lines of `head: cell`, with an empty line between rows."""
    out: list[Span] = []
    for number, row in enumerate(body):
        out += [Span("\n")] if number else []
        for name, cell in zip(head, row, strict=True):
            for line in lines_of([*name, Span(": ", Look.BOLD), *cell], width):
                out += [*line, Span("\n")]
    return out
