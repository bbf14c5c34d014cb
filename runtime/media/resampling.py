"""Sounds at another rate, of one channel: by Pillow, whose filters for pictures are what sounds take, too.

A row of 32-bit floats is a picture of one line. Pillow weighs values by a windowed sine (Lanczos's, three lobes to each
side), which lets pass what the lower of two rates can hold, and nothing above it; it does so in C, with nothing more
to bring. Knows numbers only. Refuses to know where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

_LOBES = 3
"""To each side; of as many samples as the sounds' rates are apart."""

_ROWS = 16
"""Seconds at once: Pillow computes its weights anew each time, which takes as long as using them on so many."""

_BYTES = 4


def mono(frames: bytes, n_channels: int) -> bytes:
    """The mean of all channels."""
    if n_channels == 1:
        return frames
    from PIL import Image

    row = Image.frombuffer("F", (len(frames) // _BYTES, 1), frames, "raw", "F", 0, 1)
    return row.reduce((n_channels, 1)).tobytes()


def at_rate(seconds: Iterable[bytes], rate: int, wanted: int) -> Iterator[bytes]:
    """A sound of one channel at the rate `wanted`, of its `seconds` at `rate`: a second each, but for the last."""
    if rate == wanted:
        yield from seconds
        return
    from PIL import Image

    margin = math.ceil(_LOBES * max(rate / wanted, 1)) + 1
    width = margin + rate + margin
    for rows, n_frames in _rows(seconds, rate, margin):
        n_rows = len(rows) // (width * _BYTES)
        picture = Image.frombuffer("F", (width, n_rows), rows, "raw", "F", 0, 1)
        box = (margin, 0, margin + rate, n_rows)
        resized = picture.resize((wanted, n_rows), Image.Resampling.LANCZOS, box).tobytes()
        yield resized[: math.ceil(n_frames * wanted / rate) * _BYTES]


def _rows(seconds: Iterable[bytes], rate: int, margin: int) -> Iterator[tuple[bytes, int]]:
    """So many seconds at once, each between the ends of its neighbours, and how many of their frames there are."""
    edge, second = margin * _BYTES, rate * _BYTES
    before, held = bytes(edge), b""
    rows: list[bytes] = []
    n_frames = 0
    for coming in chain(filter(None, seconds), [b""]):
        if held:
            after = (coming + bytes(edge))[:edge]
            whole = held + (after if len(held) == second else b"")
            rows.append(before + whole.ljust(second + edge, b"\0"))
            n_frames += len(held) // _BYTES
            before = (before + held)[-edge:]
        if len(rows) == _ROWS or (rows and not coming):
            yield b"".join(rows), n_frames
            rows, n_frames = [], 0
        held = coming
