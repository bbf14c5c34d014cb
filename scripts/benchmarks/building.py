"""`scripts/bench build`: what a build costs beyond reading the weights once.

`cp` and `sha256sum` of the same file are the yardstick: a build copies and hashes, and should do both in little
more than the time of the slower one. Where `sha256sum` does not use the processor's SHA instructions it is several
times slower than it could be, so `openssl` is measured as well. They take turns with the build. Before each turn the
file is copied once, untimed, and the copy deleted: what is free then is memory that the machine really has. (A virtual
one gives free memory back to its host and has to ask for it again, page by page, at the expense of whoever writes.)

A build remembers the digest of what it has hashed. So the weights are touched before each first build, and built from
once, untimed, before each second one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from processes import plain_environment, run_to_end
from report import Samples, Target, Unit, save, show
from weights import write_llama

from bundler.freeze import freeze_runtime
from bundler.progress import format_bytes, progress_for
from bundler.sources import demo

LOAF, KNOWN, CP, SHA256SUM, OPENSSL = "loaf build", "the same again", "cp", "sha256sum", "openssl sha256"
TIME, MEMORY = "time", "peak memory"
ROWS: dict[str, Unit] = {TIME: "s", MEMORY: "bytes"}
_SPARE_BYTES = 500_000_000
_SETTLED_SECONDS = 2.5
"""Only after that much time without a change is a file's digest remembered (`bundler/file/digests.py`)."""


@click.command()
@click.option("--size", type=click.FloatRange(0.01), default=2.0, show_default=True, help="Of the weights, in GB.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write [the folder for temporary files].")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def build(size: float, runs: int, folder: Path | None, json_file: Path | None) -> None:
    """Time and memory of a build, beside cp and sha256sum of the same weights, page cache warm."""
    progress, wanted = progress_for(), round(size * 1e9)
    freeze_runtime(progress)
    with tempfile.TemporaryDirectory(prefix="loaf-bench-", dir=folder) as name:
        needed, free = 2 * wanted + _SPARE_BYTES, shutil.disk_usage(name).free
        if free < needed:
            raise click.ClickException(f"needs {format_bytes(needed)} in {name}, and {format_bytes(free)} are free")
        weights = Path(name) / "weights.gguf"
        written = write_llama(weights, wanted, demo.resolve().path)
        samples = Samples(ROWS, [LOAF, KNOWN, CP, SHA256SUM, *([OPENSSL] if shutil.which("openssl") else [])])
        with progress.step("Measuring", runs + 1, "steps") as advance:
            for number in range(runs + 1):  # the first warms the page cache
                _round(weights, number, samples if number else Samples(ROWS, samples.columns))
                advance(1)
    targets = held_against(samples)
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"{format_bytes(written)} of weights, medians of {runs} (ratio to loaf build)", samples, targets))


def _round(weights: Path, number: int, samples: Samples) -> None:
    output = weights.with_name("output")
    commands = {
        LOAF: [str(Path(sys.executable).with_name("loaf")), "build", str(weights), "-o", str(output)],
        KNOWN: [str(Path(sys.executable).with_name("loaf")), "build", str(weights), "-o", str(output)],
        CP: ["cp", str(weights), str(output)],
        SHA256SUM: ["sha256sum", str(weights)],
        OPENSSL: ["openssl", "dgst", "-sha256", str(weights)],
    }
    names = list(samples.columns)
    begins = number % len(names)
    for name in names[begins:] + names[:begins]:
        weights.touch()
        if name == KNOWN:
            time.sleep(_SETTLED_SECONDS)
            run_to_end(commands[KNOWN], os.environ)
        run_to_end(commands[CP], plain_environment())
        output.unlink()
        os.sync()
        ended = run_to_end(commands[name], os.environ if name in (LOAF, KNOWN) else plain_environment())
        output.unlink(missing_ok=True)
        samples.add(TIME, name, ended.seconds)
        samples.add(MEMORY, name, ended.peak_memory)


def held_against(samples: Samples) -> list[Target]:
    """The project's targets (docs/benchmarks.md)."""
    targets = []
    for hashing in (SHA256SUM, OPENSSL):
        if hashing in samples.columns:
            slower = max((CP, hashing), key=lambda name: samples.median(TIME, name))
            value = samples.ratio((TIME, LOAF), (TIME, slower))
            targets.append(Target(f"1.25 times the slower of cp and {hashing}", value, 1.25, "x"))
    again = Target("1.3 times cp, where the digest is known", samples.ratio((TIME, KNOWN), (TIME, CP)), 1.3, "x")
    return [*targets, again, Target("150 MB of memory at most", samples.median(MEMORY, LOAF), 150_000_000, "bytes")]
