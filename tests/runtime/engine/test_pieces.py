"""What stands for pictures among tokens: told apart, cut at their edges, counted in positions."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from runtime.engine.beginnings import common_prefix
from runtime.engine.pieces import (
    Piece,
    PlacedPiece,
    Prompt,
    is_of_piece,
    piece_tokens,
    position_after,
    texts_only,
    whole,
)
from runtime.engine.sequence import Sequence
from runtime.engine.types import GenerationRequest


def picture(name: str, n_cells: int = 4, n_positions: int | None = None) -> tuple[int, ...]:
    return piece_tokens(hashlib.sha256(name.encode()).digest(), n_cells, n_positions or n_cells)


PICTURES = [picture("a"), picture("b", 1), picture("c", 9, 3), picture("d", 2, 1)]
PARTS = st.lists(st.one_of(st.sampled_from(PICTURES), st.lists(st.integers(0, 3), min_size=1, max_size=3)), max_size=6)


def edges(parts: list[tuple[int, ...] | list[int]]) -> set[int]:
    """Where a sequence of these parts may be cut: anywhere but within a picture."""
    found, at = {0}, 0
    for part in parts:
        found |= {at + len(part)} if isinstance(part, tuple) else set(range(at, at + len(part) + 1))
        at += len(part)
    return found


def flat(parts: list[tuple[int, ...] | list[int]]) -> list[int]:
    return [token for part in parts for token in part]


@given(PARTS, st.data())
def test_a_text_is_cut_at_the_edges_of_its_pictures(
    parts: list[tuple[int, ...] | list[int]], data: st.DataObject
) -> None:
    tokens = flat(parts)
    length = data.draw(st.integers(0, len(tokens)))
    assert whole(tokens, length) == max(edge for edge in edges(parts) if edge <= length)


@given(PARTS, PARTS)
def test_what_two_texts_have_in_common_ends_at_an_edge_of_both(
    a: list[tuple[int, ...] | list[int]], b: list[tuple[int, ...] | list[int]]
) -> None:
    common = common_prefix(flat(a), flat(b))
    assert flat(a)[:common] == flat(b)[:common]
    assert common in edges(a) & edges(b)


@given(PARTS)
def test_a_picture_takes_its_own_number_of_positions(parts: list[tuple[int, ...] | list[int]]) -> None:
    positions = {PICTURES[0]: 4, PICTURES[1]: 1, PICTURES[2]: 3, PICTURES[3]: 1}
    told = sum(positions[part] if isinstance(part, tuple) else len(part) for part in parts)
    tokens = flat(parts)
    assert position_after(tokens, len(tokens)) == told
    assert list(texts_only(tokens)) == [token for part in parts if isinstance(part, list) for token in part]


def test_the_numbers_are_no_tokens_and_fit_where_tokens_are_kept() -> None:
    assert all(is_of_piece(token) and token >= -(2**31) for token in picture("x", 1000))
    assert picture("x") == picture("x") != picture("y")
    assert len(set(picture("x", 1000))) > 990


def placed(*parts: tuple[int, ...] | list[int]) -> Sequence:
    pieces, at = [], 0
    for part in parts:
        if isinstance(part, tuple):
            pieces.append(PlacedPiece(at, Piece(part, None)))
        at += len(part)
    return Sequence(GenerationRequest(tuple(flat(list(parts))), pieces=tuple(pieces), n_keep=1))


def test_a_sequence_stops_before_a_picture_and_knows_it() -> None:
    sequence = placed([1, 2], PICTURES[2], [3], PICTURES[0], [4, 5])
    seen = []
    while sequence.pending:
        piece = sequence.piece
        seen.append((sequence.position(sequence.computed), "picture" if piece else sequence.until_stop))
        sequence.computed += len(piece.tokens) if piece else sequence.until_stop
    assert seen == [(0, 2), (2, "picture"), (5, 1), (6, "picture"), (10, 2)]


def test_a_context_shift_forgets_whole_pictures() -> None:
    sequence = placed([1, 2, 3], PICTURES[2], [4, 5], PICTURES[0], [6])
    sequence.computed = 15
    assert sequence.shift() == 1
    assert sequence.tokens == [1, 4, 5, *PICTURES[0], 6]
    assert [(one.start, one.piece.tokens) for one in sequence.pieces] == [(3, PICTURES[0])]


@given(PARTS)
def test_a_prompt_comes_apart_into_texts_and_pieces(parts: list[tuple[int, ...] | list[int]]) -> None:
    starts = [sum(map(len, parts[:i])) for i in range(len(parts))]
    placed = [
        PlacedPiece(start, Piece(part, None))
        for start, part in zip(starts, parts, strict=True)
        if isinstance(part, tuple)
    ]
    apart = Prompt(tuple(flat(parts)), tuple(placed)).parts
    assert [one for one in apart if isinstance(one, Piece)] == [one.piece for one in placed]
    assert [token for one in apart for token in (one.tokens if isinstance(one, Piece) else one)] == flat(parts)
    assert all(one if isinstance(one, tuple) else one.tokens for one in apart)
