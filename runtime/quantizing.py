"""What the bundler asks of a child process that makes weights smaller, and the child's own way through it.

The child says what llama.cpp says, on standard error: whoever started it reads from there how far it is. It exits with
0 or 1, or is gone where llama.cpp crashes.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

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


def quantize_and_exit(request: str) -> NoReturn:
    """Do what `request`, in JSON, says, and end the process."""
    for number in (signal.SIGINT, signal.SIGPIPE):  # Python would wait until llama.cpp is done
        signal.signal(number, signal.SIG_DFL)
    from runtime.engine.llama.quantizer import quantize

    sys.exit(0 if quantize(msgspec.json.decode(request, type=QuantizeRequest)) else 1)
