"""Words for how much to think: templates know three levels, clients ever more."""

from __future__ import annotations


def effort(word: str | None) -> str | None:
    """How much is to be thought, in the words that templates know; None where nothing is said, or nothing wanted."""
    if word is None or is_no_effort(word):
        return None
    return next((level for level, marks in _EFFORTS if any(mark in word.lower() for mark in marks)), "medium")


def is_no_effort(word: str | None) -> bool:
    """Whether `word` says not to think at all."""
    return word is not None and word.strip().lower() in ("none", "off", "no", "false", "disabled")


_EFFORTS = (
    ("high", ("high", "max", "ultra", "hard", "deep", "extra", "heavy")),
    ("low", ("low", "min", "light", "little", "fast", "quick")),
)
"""What words for levels have in them; what has nothing of it is in the middle. "xhigh" is high, "minimal" low."""
