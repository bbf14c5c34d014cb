"""How many things a JSON text may be made of: each costs a hundred times its bytes, and all of them at one stroke.

A text of 40 MB is decoded in some hundredths of a second where it is one string. As a million small objects it takes
a hundred times as long, during which no other thread runs, since the interpreter is held throughout.
"""

from __future__ import annotations

from runtime.engine.wanted import check_wanted
from runtime.server.refusals import BadRequest

MOST_VALUES = 1_000_000
"""As many tokens as the largest contexts have, which may come as numbers."""

MOST_CONTAINERS = 100_000
"""Objects and arrays: tens of thousands of messages, with all that is in them."""


_PIECE = 64 * 1024


def check_structure(body: bytes) -> None:
    """Raises `BadRequest` where JSON, valid or not, has more values, or objects and arrays, than that."""
    if not _is_too_much(*_counted(body)):
        return
    # Only what is outside of strings counts, and these are found without their escapes.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    commas = containers = is_inside = 0
    for start in range(0, len(bare), _PIECE):
        check_wanted()
        parts = bare[start : start + _PIECE].split(b'"')
        more = _counted(b"".join(parts[is_inside::2]))
        commas, containers = commas + more[0], containers + more[1]
        if _is_too_much(commas, containers):
            raise BadRequest(
                f"the body has more than {MOST_VALUES:,} values, or more than {MOST_CONTAINERS:,} objects and arrays"
            )
        is_inside = (is_inside + len(parts) - 1) % 2


def _counted(text: bytes) -> tuple[int, int]:
    """How many commas there are, and brackets that open."""
    return text.count(b","), text.count(b"{") + text.count(b"[")


def _is_too_much(commas: int, containers: int) -> bool:
    return commas >= MOST_VALUES or containers > MOST_CONTAINERS
