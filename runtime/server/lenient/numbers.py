"""Who takes numbers that are written as strings."""

from __future__ import annotations

import msgspec


class NumbersInText(msgspec.Struct):
    """A structure in whose fields a string may stand for the number that is in it."""
