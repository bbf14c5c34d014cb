"""The lines of a text while it grows, and where it leaves the block it began in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.lines import Lines

CASES: list[tuple[str, int, str, str]] = [
    ("no wish", 0, "a\nb\n\nc", "a\nb\n\nc"),
    ("deep enough", 4, "a\n    b\n\t\t\t\tc", "a\n    b\n\t\t\t\tc"),
    ("too far left", 4, "a\n    b\n  c", "a\n    b\n  "),
    ("an empty line", 2, "a\n\n  b", "a\n"),
    ("the first line goes on from the prompt", 4, "a = 1", "a = 1"),
    ("spaces within a line say nothing", 2, "a   b\n  c d", "a   b\n  c d"),
    ("an end that is not decided", 4, "a\n  ", "a\n  "),
]


@pytest.mark.parametrize(("n_indent", "text", "inside"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_what_is_inside(n_indent: int, text: str, inside: str) -> None:
    lines = Lines(n_indent)
    assert lines.push(text) == inside
    assert lines.is_outside == (inside != text)
    assert lines.has_ended_one == ("\n" in inside)


@given(n_indent=st.integers(0, 3), pieces=st.lists(st.text(" \t\nab", max_size=4)))
def test_pieces_say_the_same_as_the_whole(n_indent: int, pieces: list[str]) -> None:
    whole, parts = Lines(n_indent), Lines(n_indent)
    assert "".join(parts.push(piece) for piece in pieces) == whole.push("".join(pieces))
    assert (parts.is_outside, parts.has_ended_one) == (whole.is_outside, whole.has_ended_one)
