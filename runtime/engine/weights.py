"""Files that weights are in: a model's, an adapter's.

Knows where in a file they lie. Refuses to know what is in them.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")
"""What the first part of a split GGUF is called at its end (`llama_split_path` in llama.cpp's src/llama.cpp)."""


class Weights(msgspec.Struct, frozen=True):
    """A GGUF that begins `offset` bytes into the file `path`: a bundle, or at 0 a file of its own.

    Where it is the first part of a split one, the others lie beside it. `size` in bytes, None: to the file's end.
    """

    path: Path
    offset: int = 0
    size: int | None = None

    def is_split(self) -> bool:
        return not self.offset and _FIRST_PART.search(self.path.name) is not None

    def parts(self) -> tuple[Path, ...]:
        """The file, or all parts of the GGUF that it is the first of, where they should be."""
        match = _FIRST_PART.search(self.path.name) if self.is_split() else None
        if match is None:
            return (self.path,)
        stem, count = self.path.name[: match.start()], int(match[1])
        return tuple(self.path.with_name(f"{stem}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1))


class Adapter(msgspec.Struct, frozen=True):
    """A LoRA adapter: its name for people, its weights, and how strongly it is applied unless told otherwise."""

    name: str
    weights: Weights
    scale: float = 1.0
