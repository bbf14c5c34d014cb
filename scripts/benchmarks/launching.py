"""`scripts/bench launch`: what it costs to start a bundle, beside a onefile and llama-server.

The contestants take turns in every round, and each round begins with another one, so that whatever slows the
machine down for a while slows them all. The first round is not counted: it warms the page cache.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from contestants import (
    LLAMA_SERVER,
    LOAF,
    ONEFILE,
    OWN,
    PACKED,
    Contestant,
    Load,
    bundle,
    llama_server,
    onefile,
    packed_bundle,
    with_own_c_library,
)
from onefile import onefile_program
from processes import plain_environment, run_to_end, served, size_on_disk
from report import Samples, Target, Unit, save, show

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.packs import Recipe, find_recipe
from bundler.programs import MadeHere
from bundler.progress import Progress, progress_for
from bundler.sources import resolve

FIRST = "first launch: --version"
FIRST_WRITTEN = "  left on disk by it"
WARM = "warm launch: --version"
WARM_WRITTEN = "  written to disk by it"
PROGRAM = "  of it the frozen program, without the launcher"
ANSWERS = "server: answers at all (503)"
READY = "server: ready (200 on /health)"
ASKED = "  the first time: the driver is asked for devices"
LOAD = "  of it llama.cpp's own load"
RESIDENT = "memory at ready: resident (Rss)"
PROPORTIONAL = "  proportional (Pss)"
ANONYMOUS = "  of no file (anonymous)"

ROWS: dict[str, Unit] = {
    FIRST: "s",
    FIRST_WRITTEN: "bytes",
    WARM: "s",
    PROGRAM: "s",
    WARM_WRITTEN: "bytes",
    ANSWERS: "s",
    READY: "s",
    ASKED: "s",
    LOAD: "s",
    RESIDENT: "bytes",
    PROPORTIONAL: "bytes",
    ANONYMOUS: "bytes",
}


@click.command()
@click.option(
    "--llama-server", "server", type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Measure this llama-server too.",
)  # fmt: skip
@click.option("--model", default="demo", show_default=True, help="The GGUF to measure with.")
@click.option(
    "--vulkan", is_flag=True, help="Measure the same bundle with the Vulkan pack, too, where there is no device for it."
)
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def launch(server: Path | None, model: str, vulkan: bool, runs: int, json_file: Path | None) -> None:
    """First launch, warm launch, time to ready, memory and bytes on disk, as medians and ratios."""
    progress = progress_for()
    weights = resolve(model, progress).path.resolve()
    supply, program = MadeHere(progress), onefile_program(progress)
    runtime, *_others = supply.runtimes().programs
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as name:
        folder, load = Path(name), Load()
        loaf = bundle(_build(weights, supply, folder / "bench.loaf", progress), load, folder / LOAF)
        contestants = [
            loaf,
            with_own_c_library(loaf, folder / "own.loaf", folder / OWN),
            onefile(program, weights, load, folder / ONEFILE),
        ]
        if vulkan:
            file = _build(weights, supply, folder / "packed.loaf", progress, find_recipe("vulkan"))
            contestants.append(packed_bundle(file, load, folder / PACKED))
        if server is not None:
            contestants.append(llama_server(server, weights, load, folder / LLAMA_SERVER))
        samples = measure(contestants, weights, load, runs, progress)
    targets = held_against(samples, runtime.core.size)
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"medians of {runs} (ratio to loaf)", samples, targets))


def measure(contestants: list[Contestant], weights: Path, load: Load, runs: int, progress: Progress) -> Samples:
    """All samples of `runs` rounds. The contestant named `loaf` is among them."""
    kept, warm_up = (Samples(ROWS, [each.name for each in contestants]) for _ in range(2))
    with progress.step("Measuring", runs + 1, "steps") as advance:
        for number in range(runs + 1):
            samples = kept if number else warm_up
            for turn in _turns(contestants, number):
                turn(samples)
            samples.add(LOAD, LOAF, _load_seconds(weights, load))
            advance(1)
    return kept


def _turns(contestants: list[Contestant], number: int) -> list[Callable[[Samples], None]]:
    """What is done in a round: one thing of each, then the next thing of each. Another one begins each time."""
    begins = number % len(contestants)
    order = contestants[begins:] + contestants[:begins]
    things = (_Launches.first, _Launches.warm, _Launches.program_alone, _Launches.ready)
    return [_bound(thing, each) for thing in things for each in order]


def _bound(thing: Callable[[_Launches, Samples], None], contestant: Contestant) -> Callable[[Samples], None]:
    return lambda samples: thing(_Launches(contestant), samples)


@dataclass(frozen=True, slots=True)
class _Launches:
    """The launches of one contestant, each of which adds its samples."""

    contestant: Contestant

    def first(self, samples: Samples) -> None:
        """With nothing unpacked yet. A onefile never has."""
        each = self.contestant
        if each.name == LLAMA_SERVER:
            return
        shutil.rmtree(each.scratch)
        each.scratch.mkdir(mode=0o700)
        samples.add(FIRST, each.name, run_to_end(each.version, each.env).seconds)
        samples.add(FIRST_WRITTEN, each.name, size_on_disk(each.scratch))

    def warm(self, samples: Samples) -> None:
        each = self.contestant
        ended = run_to_end(each.version, each.env)
        samples.add(WARM, each.name, ended.seconds)
        samples.add(WARM_WRITTEN, each.name, ended.written)

    def program_alone(self, samples: Samples) -> None:
        each = self.contestant
        if each.name != LOAF:
            return
        program = next(each.scratch.glob("core-*/loaf-runtime"))
        env = each.env | {"LOAF_BUNDLE": each.version[0]}
        samples.add(PROGRAM, each.name, run_to_end([str(program), "--version"], env).seconds)

    def ready(self, samples: Samples) -> None:
        each = self.contestant
        if each.name == PACKED:  # the folder is a new one: what the driver says is not remembered there yet
            with served(each.server, each.env) as server:
                samples.add(ASKED, each.name, server.ready)
        with served(each.server, each.env) as server:
            memory = server.memory()
            samples.add(ANSWERS, each.name, server.answers)
            samples.add(READY, each.name, server.ready)
        samples.add(RESIDENT, each.name, memory.resident)
        samples.add(PROPORTIONAL, each.name, memory.proportional)
        samples.add(ANONYMOUS, each.name, memory.anonymous)


def held_against(samples: Samples, core_size: int) -> list[Target]:
    """The project's targets (docs/benchmarks.md)."""
    sooner = samples.ratio((WARM, ONEFILE), (WARM, LOAF))
    ready_but_load = samples.median(READY, LOAF) - samples.median(LOAD, LOAF)
    targets = [
        Target("warm launch 4 times as fast as the onefile", sooner, 4, "x", at_least=True),
        Target("--version within 0.15 s", samples.median(WARM, LOAF), 0.15, "s"),
        Target("ready within 0.25 s, without llama.cpp's own load", ready_but_load, 0.25, "s"),
        Target("packed program (core) of 23 MB at most", core_size, 23_000_000, "bytes"),
    ]
    for row in (WARM, READY):
        ratio = samples.ratio((row, OWN), (row, LOAF))
        targets.append(Target(f"{row}: 1.1 with its own C library", ratio, 1.1, "x"))
    if PACKED in samples.columns:
        later = samples.median(READY, PACKED) - samples.median(READY, LOAF)
        targets.append(Target("ready at most 0.03 s later with a pack for which there is no device", later, 0.03, "s"))
    return targets


def _build(weights: Path, supply: MadeHere, target: Path, progress: Progress, *packs: Recipe) -> Path:
    request = BuildRequest(str(weights), output=target, backends=packs)
    return build_bundle(request, supply, progress).path


def _load_seconds(weights: Path, load: Load) -> float:
    script = Path(__file__).with_name("load_time.py")
    command = [sys.executable, str(script), str(weights), str(load.context), str(load.slots), str(load.threads)]
    return float(run_to_end(command, plain_environment()).output)
