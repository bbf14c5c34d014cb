"""How many things a JSON text may be made of: each costs a hundred times its bytes, and all of them at one stroke.

A text of 40 MB is decoded in some hundredths of a second where it is one string. As a million small objects it takes
a hundred times as long, during which no other thread runs, since the interpreter is held throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runtime.engine.wanted import check_wanted
from runtime.server.refusals import BadRequest

MOST_VALUES = 1_000_000
"""As many tokens as the largest contexts have, which may come as numbers."""

MOST_CONTAINERS = 100_000
"""Objects and arrays: tens of thousands of messages, with all that is in them."""


_PIECE = 64 * 1024
"""Bytes that are looked at together; between two of them other threads have their turn."""


def check_structure(body: bytes) -> None:
    """Raises `BadRequest` where JSON, valid or not, has more values, or objects and arrays, than that."""
    if _has_too_much(_pieces(body)) and _has_too_much(_outside_of_strings(body)):
        raise BadRequest(
            f"the body has more than {MOST_VALUES:,} values, or more than {MOST_CONTAINERS:,} objects and arrays",
            hint="Send a long text as one string, and many texts in several requests.",
        )


def _has_too_much(texts: Iterable[bytes]) -> bool:
    """Whether there are so many commas, or brackets that open, in all of `texts`."""
    commas = containers = 0
    for text in texts:
        check_wanted()
        commas += text.count(b",")
        containers += text.count(b"{") + text.count(b"[")
        if commas >= MOST_VALUES or containers > MOST_CONTAINERS:
            return True
    return False


def _outside_of_strings(body: bytes) -> Iterator[bytes]:
    is_inside = 0
    for piece in _pieces(body):
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[is_inside::2])
        is_inside = (is_inside + len(parts) - 1) % 2


def _pieces(body: bytes) -> Iterator[bytes]:
    """None of them ends within an escape."""
    start = 0
    while start < len(body):
        piece = body[start : start + _PIECE]
        begins_one = (len(piece) - len(piece.rstrip(b"\\"))) % 2
        if begins_one and start + len(piece) < len(body):
            piece = piece[:-1]
        yield piece
        start += len(piece)
