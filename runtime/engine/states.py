"""States of sequences outside of the pool: in files, and as what a memory can go back to.

Knows which tokens they are of. Refuses to know how they are written (`llama/states.py`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class StateFile(msgspec.Struct, frozen=True):
    """The saved state of a sequence: `size` bytes of the file `path` from `offset` on; None: the whole file."""

    path: Path
    offset: int = 0
    size: int | None = None


class PartialState(msgspec.Struct, frozen=True, eq=False):
    """What a memory cannot go back to by being cut, as it was after the first `length` tokens of a sequence."""

    length: int
    state: memoryview


class SavedSequence(msgspec.Struct, frozen=True):
    """What was in a file: a sequence of `tokens`, and what can be gone back to along them, ascending."""

    tokens: tuple[int, ...]
    checkpoints: tuple[PartialState, ...] = ()


class Warmth(msgspec.Struct, frozen=True):
    """What was computed before the launch of prompts that begin with `tokens`, with the adapters at `scales`.

    Its state is in `file`; None: there is nothing that can be used. It can be gone back to the first so many tokens as
    `checkpoints` say, where the memory cannot be cut. `line` tells people of it, "" where there is nothing to say.
    """

    tokens: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    file: StateFile | None = None
    line: str = ""
    checkpoints: tuple[int, ...] = ()


NOTHING_WARM = Warmth()
