"""What the terminal can show, by the environment's word for it."""

from __future__ import annotations

import os


def can_style() -> bool:
    """Whether escape sequences mean anything to the terminal."""
    return os.environ.get("TERM", "dumb") != "dumb"
