"""`scripts/bench busy`: one stream beside other busy processes, with threads that give way and with a fixed number.

In this process, without HTTP: what is compared is how many threads compute. The number of the fixed ones is all there
are, and one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from models import Models
from report import Samples, Unit, save, show

from bundler.progress import progress_for
from runtime.engine.backend import BatchItem
from runtime.engine.llama.context import Context, Interrupt
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.team import Team
from runtime.engine.weights import Weights
from runtime.machine.busy import OthersWork
from runtime.machine.resources import processors
from runtime.settings import EngineSettings

OTHERS = (0, 1, 2, 4)
COLUMNS = ("gives way", "all threads", "one thread")
ROWS: dict[str, Unit] = {f"tokens beside {count} busy processes": "/s" for count in OTHERS} | {
    "tokens once they have ended": "/s"
}
_CELLS = 1024
_SETTLING = 2.0
"""Seconds until it has to have given way, or taken back what it gave."""


@click.command()
@click.option("--model", default="100m", show_default=True, help="A GGUF, demo, 100m or 1b.")
@click.option("--seconds", type=click.FloatRange(0.5), default=2.0, show_default=True, help="Of each measurement.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def busy(model: str, seconds: float, runs: int, json_file: Path | None) -> None:
    """One stream beside busy processes: threads that give way, all of them, and one."""
    samples = Samples(ROWS, COLUMNS)
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder, ExitStack() as closing:
        streams = _streams(Models(Path(folder)).file(model), closing)
        with progress_for().step("Measuring", runs * len(ROWS), "steps") as advance:
            for _ in range(runs):
                for row, count in zip(ROWS, (*OTHERS, 0), strict=True):
                    with _busy_processes(count):
                        for column in COLUMNS:
                            streams[column].run(_SETTLING if column == COLUMNS[0] else 0.0)
                            samples.add(row, column, streams[column].run(seconds))
                    advance(1)
    if json_file is not None:
        save(json_file, samples, [])
    click.echo(show(f"{model}, {processors().usable} processors, medians of {runs} (ratio)", samples, []))


class _Stream:
    """One sequence that goes on, with the same token again and again: only the time counts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._length = 0

    def run(self, seconds: float) -> float:
        """Tokens a second."""
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            if self._length == _CELLS:
                self._context.keep_prefix(0, 0)
                self._length = 0
            self._context.decode([BatchItem(0, self._length, (1,), 1)], ())
            self._length += 1
            count += 1
        return count / max(time.perf_counter() - began, 1e-9)


def _streams(file: Path, closing: ExitStack) -> dict[str, _Stream]:
    model = load_model(Weights(file), EngineSettings().load, threading.Event())
    closing.callback(model.close)
    most = processors().usable
    teams = (Team(most, OthersWork().measure), Team(most, None), Team(1, None))
    streams = {}
    for column, team in zip(COLUMNS, teams, strict=True):
        settings = ContextSettings(_CELLS, 1, 64, 64, team.most)
        context = Context(model, settings, Interrupt(model.lib), team)
        closing.callback(context.close)
        streams[column] = _Stream(context)
    return streams


@contextmanager
def _busy_processes(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
