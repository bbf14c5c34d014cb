"""Spans as a terminal is told them. Colours are the sixteen whose tone the terminal's user chose."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.console.markdown.span import Look, Span
from runtime.console.printable import printable

_PLAIN = {
    Look.BOLD: "1",
    Look.FAINT: "2",
    Look.ITALIC: "3",
    Look.LINK: "4",
    Look.STRUCK: "9",
    Look.HEADING: "1;4",
}
_COLOURED = {**_PLAIN, Look.HEADING: "1;36", Look.CODE: "33"}
"""Parameters of SGR (ECMA-48, 8.3.117)."""


def styled(spans: Iterable[Span], *, coloured: bool) -> str:
    """Text and escape sequences; nothing that a span holds becomes one. Each line stands for itself."""
    codes = _COLOURED if coloured else _PLAIN
    return "".join(_styled(span, codes) for span in spans)


def _styled(span: Span, codes: dict[Look, str]) -> str:
    text = printable(span.text)
    parameters = ";".join(code for look, code in codes.items() if look in span.look)
    if not parameters:
        return text
    return "\n".join(f"\x1b[{parameters}m{line}\x1b[0m" if line else "" for line in text.split("\n"))
