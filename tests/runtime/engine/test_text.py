"""Bytes of tokens into text: characters and stop strings are never cut, whatever the pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.text import TextAssembler


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.text(max_size=60), st.lists(st.integers(0, 1000)))
def test_text_arrives_whole(text: str, cuts: list[int]) -> None:
    assembler = TextAssembler(())
    out = [assembler.push(piece) for piece in pieces(text.encode(), cuts)]
    assert "".join(out) + assembler.finish() == text


@given(
    st.text("abcé😀", max_size=40), st.lists(st.integers(0, 1000)), st.lists(st.text("abcé😀", max_size=4), max_size=3)
)
def test_text_ends_before_the_first_stop_string(text: str, cuts: list[int], stop: list[str]) -> None:
    assembler = TextAssembler(tuple(stop))
    out = "".join([assembler.push(piece) for piece in pieces(text.encode(), cuts)]) + assembler.finish()
    ends = [text.find(word) + len(word) for word in stop if word and word in text]
    if not ends:
        assert out == text
        assert not assembler.stopped
    else:
        assert assembler.stop_string in stop
        assert text.startswith(out + assembler.stop_string)
        assert not any(word and word in out for word in stop)


@pytest.mark.parametrize(
    ("steps", "stop", "expected"),
    [
        ([b"Hel", b"lo"], (), ["Hel", "lo"]),
        (["é".encode()[:1], "é".encode()[1:]], (), ["", "é"]),
        (["😀".encode()[:3], "😀".encode()[3:] + b"!"], (), ["", "😀!"]),
        ([b"one EN", b"D two"], ("END",), ["one ", ""]),
        ([b"one EN", b"TER"], ("END",), ["one ", "ENTER"]),
        ([b"aab"], ("ab",), ["a"]),
        ([b"\xff", b"x"], (), ["�", "x"]),
    ],
)
def test_what_is_held_back(steps: list[bytes], stop: tuple[str, ...], expected: list[str]) -> None:
    assembler = TextAssembler(stop)
    assert [assembler.push(step) for step in steps] == expected


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    assembler = TextAssembler(())
    assert assembler.push("😀".encode()[:2]) == ""
    assert assembler.finish() == "�"
