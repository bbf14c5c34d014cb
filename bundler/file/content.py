"""What the bytes of an archive entry are, before anyone has read them.

Knows that an entry is a run of pieces, each held in memory or lying in a file. Refuses to know
formats (`bundler/gguf/`) and how the pieces are written (`archive.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class FileRange:
    """`size` bytes of the file `path`, from `offset` (both in bytes)."""

    path: Path
    offset: int
    size: int


Piece = Inline | FileRange
Content = tuple[Piece, ...]


def content_size(content: Content) -> int:
    """The bytes that `content` comes to."""
    return sum(piece.size for piece in content)
