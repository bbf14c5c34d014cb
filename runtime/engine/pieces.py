"""Pieces of a sequence that are no text: a picture, or a part of one. Numbers stand for them among the tokens.

A piece takes as many cells as it has numbers. They are made of a hash of what it shows, so whatever compares, keeps and
saves tokens does the same with pictures: a picture is part of a beginning like any word. They are negative, which no
token is, 31 bits each after the sign:

    bit 30      the piece begins here
    bit 29      the position goes on after this one; in some families (M-RoPE) a picture has fewer positions than cells
    bits 0-28   of the hash

A piece is computed whole or not at all, so a text is cut at its edges only (`whole`). Pure; refuses to know what a
piece shows and how it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence as Tokens
from typing import Any

import msgspec

_BEGINS, _ADVANCES, _HASH = 1 << 30, 1 << 29, (1 << 29) - 1


class Piece(msgspec.Struct, frozen=True, eq=False):
    """`tokens` stand for it; `content` is what the backend computes it from, and nobody else looks into."""

    tokens: tuple[int, ...]
    content: Any

    @property
    def skipped(self) -> int:
        """How many positions fewer than cells it takes."""
        return sum(map(_stays, self.tokens))


class PlacedPiece(msgspec.Struct, frozen=True):
    """A piece that begins after `start` tokens of a sequence."""

    start: int
    piece: Piece

    @property
    def end(self) -> int:
        return self.start + len(self.piece.tokens)


class Prompt(msgspec.Struct, frozen=True):
    """The tokens of a text, and where the pictures and sounds are that some of them stand for, in order."""

    tokens: tuple[int, ...]
    pieces: tuple[PlacedPiece, ...] = ()

    @property
    def parts(self) -> list[tuple[int, ...] | Piece]:
        """The same one after the other: tokens that are text, and pieces. None is empty."""
        parts: list[tuple[int, ...] | Piece] = []
        end = 0
        for placed in self.pieces:
            if placed.start > end:
                parts.append(self.tokens[end : placed.start])
            parts.append(placed.piece)
            end = placed.end
        return [*parts, self.tokens[end:]] if end < len(self.tokens) else parts


Seen = tuple["tuple[int, ...] | Piece", ...]
"""What a model makes of a picture: tokens of its vocabulary, and pieces, in their order."""


def piece_tokens(digest: bytes, n_cells: int, n_positions: int) -> tuple[int, ...]:
    """The numbers for a piece of so many cells and positions (from 1 on, and no more than cells), by its `digest`."""
    assert 0 < n_positions <= n_cells
    import hashlib  # with OpenSSL's, which no start needs

    noise = hashlib.shake_128(digest).digest(4 * n_cells)
    bits = [int.from_bytes(noise[i : i + 4], "little") & _HASH for i in range(0, 4 * n_cells, 4)]
    bits[0] |= _BEGINS
    for i in range(n_cells - n_positions, n_cells):
        bits[i] |= _ADVANCES
    return tuple(-1 - one for one in bits)


def is_of_piece(token: int) -> bool:
    """Whether it stands for a part of a piece."""
    return token < 0


def begins_piece(token: int) -> bool:
    """Whether it is the first of those that stand for a piece."""
    return token < 0 and bool((-1 - token) & _BEGINS)


def texts_only(tokens: Tokens[int]) -> Tokens[int]:
    """`tokens` without those that stand for pieces."""
    return tokens if not tokens or min(tokens) >= 0 else [token for token in tokens if token >= 0]


def whole(tokens: Tokens[int], length: int) -> int:
    """The first so many of `tokens`, or as many fewer as it takes for the last piece of them to be whole."""
    while 0 < length < len(tokens) and is_of_piece(tokens[length]) and not begins_piece(tokens[length]):
        length -= 1
    return length


def position_after(tokens: Tokens[int], length: int) -> int:
    """The position at which the memory goes on after the first `length` of `tokens`."""
    return length - sum(map(_stays, tokens[:length]))


def _stays(token: int) -> bool:
    return token < 0 and not (-1 - token) & _ADVANCES
