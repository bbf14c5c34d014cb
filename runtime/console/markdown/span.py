"""Text and how it looks. What a look is on a terminal is for `console/ansi.py` to know."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Flag, auto

import msgspec

from runtime.console.widths import width_of


class Look(Flag):
    """What text is, so how it looks; any of them together."""

    PLAIN = 0
    BOLD = auto()
    ITALIC = auto()
    STRUCK = auto()
    CODE = auto()
    LINK = auto()
    HEADING = auto()
    FAINT = auto()


class Span(msgspec.Struct, frozen=True):
    """Text of one look; a newline in it ends a line."""

    text: str
    look: Look = Look.PLAIN


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same text in as few spans as its looks allow."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].look == span.look:
            out[-1] = Span(out[-1].text + span.text, span.look)
        elif span.text:
            out.append(span)
    return out


def width_of_spans(spans: Iterable[Span]) -> int:
    return sum(width_of(span.text) for span in spans)
