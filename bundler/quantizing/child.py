"""Runs llama.cpp's quantizer: in the frozen program, whose only task it is, so that a crash there is an error here.

Knows what llama.cpp says of each tensor (`llama_model_quantize_impl` in its src/llama-quant.cpp). Refuses to know what
follows from it.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bundler.asking.program import program_environment
from bundler.errors import QuantizingFailed
from bundler.freeze.process import CommandFailed, run
from bundler.store.cache import log_file
from runtime.cli.options import QUANTIZE
from runtime.engine.llama.quantizing import QuantizeRequest

_TENSOR = re.compile(
    r"\[ *\d+/ *\d+\] (?P<name>\S+) .*, type = +(?P<type>\w+), "
    r".*size = +[\d.]+ MiB(?: -> +[\d.]+ MiB(?: \((?P<new_type>\w+)\))?)?"
)
_REASON = re.compile(r"failed to quantize: (.*)|llama.cpp cannot go on: (.*)")
_FULL_DISK = re.compile("iostream error|basic_ios::clear")
"""What C++'s streams say where nothing more can be written."""


@dataclass(frozen=True, slots=True)
class Said:
    """What llama.cpp says of a tensor: its type, and the one that it gets; the same where it stays. In lower case.

    The new type is only told of by a dry run.
    """

    name: str
    type: str
    new_type: str


def run_quantizer(program: Path, request: QuantizeRequest, model: str, hear: Callable[[Said], None]) -> None:
    """Let `program` do what `request` says; `hear` is called for each tensor that is done.

    `model` is what people call what is quantized. Raises `QuantizingFailed`; the log is kept then.
    """
    log = log_file(f"quantize-{os.getpid()}")

    def hear_line(line: str) -> None:
        if match := _TENSOR.search(line):
            hear(Said(match["name"], match["type"].lower(), (match["new_type"] or match["type"]).lower()))

    command: list[str | Path] = [program, QUANTIZE, msgspec.json.encode(request).decode()]
    try:
        run(command, log=log, env=program_environment(), on_line=hear_line)
    except CommandFailed as error:
        raise QuantizingFailed(model, _reason(error.code, error.tail), log) from error
    except BaseException:
        with suppress(OSError):
            log.unlink(missing_ok=True)
        raise
    log.unlink(missing_ok=True)


def _reason(code: int, tail: Sequence[str]) -> str:
    """llama.cpp's own words, or how the process ended and what was the last thing heard of it."""
    said = _last(match[1] or match[2] for line in tail if (match := _REASON.search(line)))
    if said:
        return "nothing more can be written: is the disk full?" if _FULL_DISK.search(said) else said
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = " (the system ends a process so when memory runs out)" if -code == signal.SIGKILL else ""
        return f"llama.cpp was ended by {name}{hint}; its last words: {_last(tail) or 'none'}"
    return f"llama.cpp ended with exit code {code}; its last words: {_last(tail) or 'none'}"


def _last(lines: Iterable[str]) -> str:
    return next((line.strip() for line in reversed([*lines]) if line.strip()), "")
