"""`scripts/bench sizes`: the README's table of sizes and memory, by quantization.

Nothing is measured, and nothing estimated but memory. Files with the header of each model in F16, and a hole for its
weights, are shown to llama.cpp's own quantizer, which says of each tensor what it would become. Vocabularies are left
out: they add up to 8 MB to a file. Memory is what `loaf inspect` says (`bundler/gguf/memory.py`): weights, an F16 cache
for the context, and a rough upper estimate of what is computed in.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
from entries import number
from shapes import Llama
from vocabularies import Vocabulary
from weights import F16, write_hollow

from bundler.asking.program import unpacked_program
from bundler.gguf import GGUF, PROGRAM, estimate_memory, read_gguf, summarize
from bundler.programs import MadeHere
from bundler.progress import progress_for
from bundler.quantizing import find_file_type
from bundler.quantizing.child import Said, run_quantizer
from bundler.quantizing.plan import quantized_size
from runtime.engine.llama.quantizing import QuantizeRequest

CONTEXT = 8192
FILE_TYPES = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M")


@dataclass(frozen=True, slots=True)
class Known:
    """A model whose dimensions its makers have published (config.json). `vocabulary` in tokens."""

    size: str
    name: str
    shape: Llama
    vocabulary: int


MODELS = (
    Known("1 B", "Llama 3.2 1B", Llama(16, 2048, 8192, 32, 8, 131_072), 128_256),
    Known("3 B", "Llama 3.2 3B", Llama(28, 3072, 8192, 24, 8, 131_072), 128_256),
    Known("8 B", "Llama 3.1 8B", Llama(32, 4096, 14_336, 32, 8, 131_072, counts=True), 128_256),
    Known("13 B", "Llama 2 13B", Llama(40, 5120, 13_824, 40, 40, 4096, counts=True), 32_000),
    Known("70 B", "Llama 3.1 70B", Llama(80, 8192, 28_672, 64, 8, 131_072, counts=True), 128_256),
)
"""Those that count have an output matrix of their own; the others use the embeddings twice."""


@click.command()
def sizes() -> None:
    """Write the README's table of sizes and memory."""
    runtime, *_others = MadeHere(progress_for()).runtimes().programs
    program = unpacked_program(runtime)
    columns = {known: list(_column(known, program)) for known in MODELS}
    click.echo(f"| file / memory, GB | {' | '.join(known.size for known in MODELS)} |")
    click.echo("| --- " * (len(MODELS) + 1) + "|")
    for row, name in enumerate(FILE_TYPES):
        cells = (f"{_giga(file)} / {_giga(memory)}" for file, memory in (column[row] for column in columns.values()))
        click.echo(f"| {name} | {' | '.join(cells)} |")


def _column(known: Known, program: Path) -> Iterator[tuple[int, int]]:
    """(file, memory) in bytes, for each of `FILE_TYPES`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        vocabulary = Vocabulary((number("llama.vocab_size", known.vocabulary),), known.vocabulary)
        write_hollow(path, known.shape, vocabulary, F16)
        model = read_gguf(path)
        for name in FILE_TYPES:
            file = quantized_size(model, _ask(program, path, name))
            yield file, _memory(model, file, known.shape.context)


def _ask(program: Path, path: Path, file_type: str) -> list[Said]:
    said: list[Said] = []
    request = QuantizeRequest(str(path), os.devnull, find_file_type(file_type).id, threads=1, dry_run=True)
    run_quantizer(program, request, file_type, said.append)
    return said


def _memory(model: GGUF, file: int, trained_for: int) -> int:
    info = replace(summarize(model), weights_size=file)
    return PROGRAM + estimate_memory(info, min(CONTEXT, trained_for)).total


def _giga(count: int) -> str:
    return f"{count / 1e9:.1f}"
