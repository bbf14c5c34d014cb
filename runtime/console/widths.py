"""How many columns of a terminal text takes."""

from __future__ import annotations


def width_of(text: str) -> int:
    """Columns that `text` takes: none for marks that combine, two for what is wide."""
    if text.isascii() and text.isprintable():
        return len(text)
    from wcwidth import wcwidth  # its tables take longer than most programs look at them

    return sum(max(wcwidth(character), 0) for character in text)


def shortened(text: str, width: int) -> str:
    """As much of the line `text` as `width` columns have room for, with `…` for the rest."""
    if width_of(text) <= width:
        return text
    kept = text[:width]
    while kept and width_of(kept) >= width:
        kept = kept[:-1]
    return f"{kept}…" if width > 0 else ""
