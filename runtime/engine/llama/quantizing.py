"""What the bundler asks of a child process that makes weights smaller.

Refuses to know how it is done (`quantizer.py`), so that who asks imports nothing of llama.cpp.
"""

from __future__ import annotations

import msgspec


class Importance(msgspec.Struct, frozen=True):
    """How much each column of a tensor matters, for many tensors.

    `file` holds the numbers of all, in order, as 32-bit floats; `entries` are tensors' names and how many each has.
    """

    file: str
    entries: tuple[tuple[str, int], ...]


class QuantizeRequest(msgspec.Struct, frozen=True):
    """Make of the GGUF `source`, or all parts of the one that it is the first of, the GGUF `target`.

    `file_type` is llama.cpp's number of the mix of types (`llama_ftype`). `dry_run`: write nothing, and only say what
    would become of each tensor. `requantize`: take tensors, too, that have been quantized before.
    """

    source: str
    target: str
    file_type: int
    threads: int
    dry_run: bool = False
    requantize: bool = False
    importance: Importance | None = None
