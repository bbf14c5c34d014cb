"""What is put right in llama.cpp's sources before they are compiled, where waiting for the next version would not do.

Each correction is one text for another in one file, and says what would go wrong without it. A version in which the
text is not found once is not compiled: whoever pins it learns here that the correction may have become needless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.errors import StepFailed


@dataclass(frozen=True, slots=True)
class Correction:
    """`new` for `old` in `file`, a path inside llama.cpp's sources."""

    file: str
    old: str
    new: str


_TILES = Correction(
    "ggml/src/ggml-cpu/amx/mmq.cpp",
    "    _tile_loadconfig(&tc);\n",
    '    __asm__ volatile("" : : "r"(&tc) : "memory");\n    _tile_loadconfig(&tc);\n',
)
"""GCC 12's `_tile_loadconfig` tells the compiler of the first 8 of the 64 bytes that it reads, so the others are never
written, and the first prompt on a processor with AMX (Intel's Xeons since Sapphire Rapids) ends the process with an
illegal instruction. The empty statement reads them all."""

CORRECTIONS = (_TILES,)


def correct(sources: Path, log: Path) -> None:
    """Put right what lies in `sources`, llama.cpp's own folder. Raises StepFailed where a text is not there once."""
    for correction in CORRECTIONS:
        file = sources / correction.file
        text = file.read_text() if file.is_file() else ""
        if text.count(correction.old) != 1:
            raise StepFailed(
                "correcting llama.cpp's sources",
                f"{correction.file} is not as corrections.py expects it: look whether it still needs to be corrected",
                log,
            )
        file.write_text(text.replace(correction.old, correction.new))
