"""Everything that may be asked about a picture, as a table: each row has one word for an answer.

The eye learns to fill it in, a row in each of its first patches; the language model then only has to find the row.
Knows words. Knows no pixels and no wordings.
"""

from __future__ import annotations

from collections.abc import Iterable

from scripts.vision_model.scenes import COLOURS, DIGITS, MOST, SHAPES, Group, Scene

NONE = "none"
WORDS = (NONE, *DIGITS, *SHAPES, *COLOURS)
"""What a row may say; a word is an index into these."""
UNASKED = -100
"""In place of a word where the question has no single answer: PyTorch's losses leave it out."""
ROWS = 1 + 2 * (len(SHAPES) + len(COLOURS)) + 3 + 6


def table(scene: Scene) -> list[int]:
    """The words of all rows."""
    groups = scene.groups
    rows = [_number(scene.count)]
    rows += [_number(sum(group.count for group in groups if group.shape == shape)) for shape in SHAPES]
    rows += [_number(sum(group.count for group in groups if group.colour == colour)) for colour in COLOURS]
    rows += [_only(group.colour for group in groups if group.shape == shape) for shape in SHAPES]
    rows += [_only(group.shape for group in groups if group.colour == colour) for colour in COLOURS]
    rows.append(_word(NONE if scene.digit is None else DIGITS[scene.digit]))
    rows.append(_word(scene.colour) if scene.colour else _only(group.colour for group in groups))
    rows.append(_only(group.shape for group in groups))
    if scene.digit is not None:
        groups = (Group(1, DIGITS[scene.digit], scene.colour),)
    for place in range(2):
        here = groups[place : place + 1]
        rows += [_number(sum(group.count for group in here))]
        rows += [_only(group.colour for group in here), _only(group.shape for group in here)]
    assert len(rows) == ROWS
    return rows


def _number(count: int) -> int:
    assert count <= MOST
    return _word(DIGITS[count] if count else NONE)


def _only(words: Iterable[str]) -> int:
    """The one that all of them are."""
    found = set(words)
    return UNASKED if len(found) > 1 else _word(found.pop() if found else NONE)


def _word(word: str) -> int:
    return WORDS.index(word)
