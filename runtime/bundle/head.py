"""The head of a bundle: its first 64 KiB, with places for two launchers, of which one byte says which is run.

The launcher states where the program lies and how large the file is, so whoever rewrites the file's tail has to
change it at one stroke. One byte is one stroke, wherever an interruption comes:

    #!/bin/sh
    #: <<'SECOND_LAUNCHER'      the byte: `#` makes this a comment, a space makes the shell skip to the second
    the first launcher, and newlines
    SECOND_LAUNCHER
    the second launcher, and newlines

A bundle that nobody is changing runs the first, and has no second one. While it is changed
(`bundler/changing/rewriting.py`), and after a change that was interrupted, the second place begins with `MARK`, or what
an interruption has left of it behind its first byte; what is not live then means nothing.

Knows where launchers stand. Refuses to know what they say.
"""

from __future__ import annotations

import msgspec

HEAD_SIZE = 64 * 1024
CHOICE_OFFSET = len(b"#!/bin/sh\n")
"""Where the byte is that says which launcher is live."""

CHOOSES_FIRST, CHOOSES_SECOND = b"#", b" "
MARK = b"# Put aside while the file was being changed.\n"

_PREAMBLE = b"#!/bin/sh\n%b: <<'SECOND_LAUNCHER'\n"
_BORDER = b"\nSECOND_LAUNCHER\n"
FIRST_PLACE = len(_PREAMBLE % CHOOSES_FIRST)
SECOND_PLACE = HEAD_SIZE // 2
_FIRST_END = SECOND_PLACE - len(_BORDER)
MAX_LAUNCHER = min(_FIRST_END - FIRST_PLACE, HEAD_SIZE - SECOND_PLACE - len(MARK))
"""Bytes that a launcher may have."""


class Head(msgspec.Struct, frozen=True):
    """What a head holds. `is_first`: which launcher is live. `is_settled`: nobody is changing the file, or was."""

    launcher: bytes
    is_first: bool
    is_settled: bool


def make_head(launcher: bytes) -> bytes:
    """The head of a bundle that nobody is changing."""
    return _PREAMBLE % CHOOSES_FIRST + first_place(launcher) + _BORDER + second_place(b"")


def first_place(launcher: bytes) -> bytes:
    """What stands in the first place, at `FIRST_PLACE`."""
    return _fill(launcher, _FIRST_END - FIRST_PLACE)


def second_place(launcher: bytes) -> bytes:
    """What stands in the second place, at `SECOND_PLACE`: nothing, or what begins with `MARK`."""
    return _fill(launcher, HEAD_SIZE - SECOND_PLACE)


def parse_head(data: bytes) -> Head | None:
    """What the first `HEAD_SIZE` bytes of a file hold; fewer where it is shorter. None: it is no bundle."""
    is_first = data.startswith(_PREAMBLE % CHOOSES_FIRST)
    if not is_first and not data.startswith(_PREAMBLE % CHOOSES_SECOND):
        return None
    second = data[SECOND_PLACE:HEAD_SIZE]
    is_marked = _is_marked(second)
    launcher = data[FIRST_PLACE:_FIRST_END] if is_first else second.removeprefix(MARK)
    return Head(launcher.rstrip(b"\n") + b"\n", is_first, is_first and not is_marked)


def _is_marked(second: bytes) -> bool:
    """Whether the mark is there, at least its first byte, which comes and goes at one stroke; of others any may be."""
    return second[:1] == MARK[:1] and all(found in (meant, 0x0A) for found, meant in zip(second, MARK, strict=False))


def _fill(launcher: bytes, size: int) -> bytes:
    assert len(launcher) <= size, "the launcher has outgrown its place"
    return launcher + b"\n" * (size - len(launcher))
