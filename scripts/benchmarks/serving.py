"""`scripts/bench serve`: tokens a second, waiting times and memory, beside llama-server.

All contestants of a case are started together and take turns in every round, each of which begins with another one;
while one is measured the others wait for requests, which takes no processor time. The first round of a launch is not
counted.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import click
from cases import Case, Copying, Embeddings, LongPrompt, MemoryAfter, NewText, Prompts, Queued, SharedPrefix, Streams
from contestants import (
    LLAMA_SERVER,
    LOAF,
    LOOKUP,
    OWN,
    SPLIT,
    Contestant,
    Load,
    bundle_with,
    llama_server,
    with_own_c_library,
)
from conversing import TakingTurns, Turns
from dialects import ASKED, Dialects, ManyStreams, first_of, speed_of
from looking import Looking
from models import Models, vocabulary_size
from processes import Disturbance, served
from report import Samples, Target, save, show

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import Advance, Progress, progress_for

CaseName = Literal[
    "single", "8", "32", "64", "long", "queued", "prefix", "copy", "embeddings", "memory", "dialects", "turns",
    "picture",
]  # fmt: skip
CASES: tuple[CaseName, ...] = get_args(CaseName)
_TESTS_EMBEDDER = Path(__file__).parents[2] / "tests" / "data" / "embedder.gguf"
_MB = 1_000_000

_ROUNDS_A_LAUNCH = 5
"""Then all are started anew: of two launches of one program, one was up to 6 % faster in seven rounds."""


@dataclass(frozen=True, slots=True)
class Match:
    """A case, and what the contestants serve in it.

    `also`: who takes part besides loaf and llama-server; with LOAF nobody does, not even that. `sees`: the bundle must
    have what pictures need. `flags` are for all, `peer_flags` for llama-server alone.
    """

    case: Case
    weights: Path
    load: Load
    also: str | None = None
    sees: bool = False
    flags: tuple[str, ...] = ()
    peer_flags: tuple[str, ...] = ()


@click.command()
@click.option(
    "--llama-server", "server", type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Measure this llama-server too.",
)  # fmt: skip
@click.option(
    "--model", help="A GGUF, demo, 100m or 1b, for the streams and prompts [100m; a single stream: all three]."
)
@click.option("--only", type=click.Choice(CASES), multiple=True, help="This case; can be given again [all].")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def serve(
    server: Path | None, model: str | None, only: tuple[CaseName, ...], runs: int, json_file: Path | None
) -> None:
    """Streams, shared prefixes, copying, embeddings and memory, as medians and ratios."""
    progress = progress_for()
    supply = MadeHere(progress)
    supply.runtimes()
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as name:
        folder = Path(name)
        models = Models(folder)
        matches = [match for case in only or CASES for match in _matches(case, model, models)]
        files = {
            sees: build_bundle(BuildRequest(name, output=folder / f"{name}.loaf"), supply, progress).path
            for sees, name in ((False, "demo"), (True, "demo-vision"))
            if any(match.sees == sees for match in matches)
        }
        contestants = [_contestants(match, files[match.sees], server, folder) for match in matches]
        columns = list(dict.fromkeys(each.name for some in contestants for each in some))
        samples = Samples({row: unit for match in matches for row, unit in match.case.rows.items()}, columns)
        disturbance = Disturbance()
        for match, some in zip(matches, contestants, strict=True):
            measure(match.case, some, runs, samples, progress)
        others = disturbance.share()
    targets = held_against(samples)
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"medians of {runs} (ratio to loaf)", samples, targets))
    click.echo(f"\nOther processes took {others:.0%} of the machine's processors meanwhile.")


def measure(case: Case, contestants: Sequence[Contestant], runs: int, samples: Samples, progress: Progress) -> None:
    """Add the samples of `runs` rounds of `case`."""
    title = next(iter(case.rows)).partition(":")[0]
    firsts = range(1, runs + 1, _ROUNDS_A_LAUNCH)
    launches = [range(first, min(first + _ROUNDS_A_LAUNCH, runs + 1)) for first in firsts]
    with progress.step(title, runs + len(launches), "steps") as advance:
        for rounds in launches:
            _launch(case, contestants, rounds, samples, advance)


def _launch(case: Case, contestants: Sequence[Contestant], rounds: range, samples: Samples, advance: Advance) -> None:
    """Add the samples of `rounds`, all of one launch."""
    with ExitStack() as stack:
        servers = [(each.name, stack.enter_context(served(each.server, each.env))) for each in contestants]
        for number in (0, *rounds):
            begins = number % len(servers)
            for name, server in servers[begins:] + servers[:begins]:
                figures = asyncio.run(case.measure(server, number))
                if number:
                    for row, value in figures.items():
                        samples.add(row, name, value)
            advance(1)


def _matches(case: CaseName, model: str | None, models: Models) -> list[Match]:
    """What is measured under the name of `case`. Raises what finding a model raises."""
    if case == "embeddings":
        load = Load(context=16384, slots=32, ubatch=2048)
        tests = [("embedder.gguf", _TESTS_EMBEDDER)] if _TESTS_EMBEDDER.exists() else []
        return [
            Match(Embeddings(name), path, load, peer_flags=("--embeddings",))
            for name, path in [*tests, ("bert-33m", models.file("bert-33m"))]
        ]
    if case == "turns":
        load = Load(context=8192, slots=4)
        found = {name: models.file(name) for name in ("hybrid", "recurrent", "windows", "100m")}
        turns = [Match(Turns(name, Prompts(vocabulary_size(file))), file, load) for name, file in found.items()]
        few = Load(context=4096, slots=4)
        return [*turns, Match(TakingTurns(Prompts(vocabulary_size(found["100m"]))), found["100m"], few)]
    if case == "single":
        return [_single(name, models) for name in ([model] if model else ["demo", "100m", "1b"])]
    # These know what a counting model will answer.
    weights = models.file(model if model and case not in ("copy", "dialects") else "100m")
    prompts = Prompts(vocabulary_size(weights))
    many = Streams("32 clients", prompts, clients=32, prompt=64, tokens=128)
    eight = Streams("8 clients", prompts, clients=8, prompt=64, tokens=256)
    made: dict[CaseName, Callable[[], list[Match]]] = {
        "8": lambda: [Match(eight, weights, Load(context=16384, slots=16), also=SPLIT)],
        "32": lambda: [Match(many, weights, Load(context=16384, slots=32), also=SPLIT)],
        "long": lambda: [Match(LongPrompt(prompts), weights, Load(context=16384, slots=4))],
        "queued": lambda: [Match(Queued(prompts), weights, Load(context=16384, slots=4))],
        "prefix": lambda: [Match(SharedPrefix(prompts), weights, Load(context=8192))],
        "copy": lambda: [
            Match(each, weights, Load(context=4096), also=LOOKUP) for each in (Copying(prompts), NewText(prompts))
        ],
        "64": lambda: [Match(ManyStreams(prompts), weights, Load(context=16384, slots=64))],
        "dialects": lambda: [Match(Dialects(prompts), weights, Load(context=4096, slots=4), also=LOAF)],
        "picture": lambda: [
            Match(
                Looking(prompts),
                weights,
                Load(context=16384, slots=4),
                sees=True,
                flags=("--mmproj", str(models.file("mmproj-86m"))),
            )
        ],
        "memory": lambda: [Match(MemoryAfter(eight), weights, Load(context=8192), flags=("--cache-ram", "0"))],
    }
    return made[case]()


def _single(model: str, models: Models) -> Match:
    weights = models.file(model)
    prompts = Prompts(vocabulary_size(weights))
    label = f"one client, {Path(model).stem}"
    streams = Streams(label, prompts, 1, 32, 256 if model == "1b" else 512)
    return Match(streams, weights, Load(context=4096, slots=4), also=OWN)


def _contestants(match: Match, file: Path, server: Path | None, folder: Path) -> list[Contestant]:
    found = [bundle_with(file, match.weights, match.load, folder / LOAF, *match.flags)]
    if match.also == LOOKUP:
        found.append(bundle_with(file, match.weights, match.load, folder / LOAF, *match.flags, lookup=True))
    if match.also == OWN:
        found.append(with_own_c_library(found[0], folder / f"own-{match.weights.stem}.loaf", folder / OWN))
    if server is not None and match.also != LOAF:
        for split in [False, *[True] * (match.also == SPLIT)]:
            scratch, flags = folder / LLAMA_SERVER, ("--no-webui", *match.flags, *match.peer_flags)
            found.append(llama_server(server, match.weights, match.load, scratch, *flags, split=split))
    return found


def held_against(samples: Samples) -> list[Target]:
    """The project's targets (docs/benchmarks.md), as far as what they need was measured."""
    targets: list[Target] = []

    def ratio(text: str, row: str, of: str, to: str, limit: float, *, at_least: bool = True) -> None:
        if (row, of) in samples.values and (row, to) in samples.values:
            targets.append(Target(text, samples.ratio((row, of), (row, to)), limit, "x", at_least=at_least))

    ratio("one client, 100m: 0.97 of llama-server", "one client, 100m: tokens", LOAF, LLAMA_SERVER, 0.97)
    ratio("one client, 1b: 0.99 of llama-server", "one client, 1b: tokens", LOAF, LLAMA_SERVER, 0.99)
    ratio("one client, 100m: 0.98 with its own C library", "one client, 100m: tokens", OWN, LOAF, 0.98)
    for clients in ("8 clients", "32 clients"):
        ratio(f"{clients}: as fast as llama-server", f"{clients}: tokens", LOAF, LLAMA_SERVER, 1)
        for row, which in ((f"  first token ({clients})", "median"), (f"  the slowest client's ({clients})", "worst")):
            ratio(f"{clients}: {which} first token no later", row, LOAF, LLAMA_SERVER, 1, at_least=False)
    ratio("one prefix: 3 times sooner", SharedPrefix.ALL, LLAMA_SERVER, LOAF, 3)
    ratio("copying with --lookup: 1.5 times as fast", Copying.SPEED, LOOKUP, LOAF, 1.5)
    ratio("new text with --lookup: 0.97 of without", NewText.SPEED, LOOKUP, LOAF, 0.97)
    for row, unit in samples.rows.items():
        if unit == "tokens":
            is_more = row == TakingTurns.REUSED
            ratio(f"{row.strip()}, of llama-server's", row, LOAF, LLAMA_SERVER, 1 if is_more else 1.1, at_least=is_more)
    if (LongPrompt.RATIO, LOAF) in samples.values:
        gap = samples.median(LongPrompt.RATIO, LOAF)
        targets.append(Target("longest gap: 1.2 of a prefill chunk at most", gap, 1.2, "x"))
    if (Looking.RATIO, LOAF) in samples.values:
        share, gap = (samples.median(row, LOAF) for row in (Looking.SHARE, Looking.RATIO))
        targets.append(Target("a second question: 0.15 of the first", share, 0.15, "x"))
        targets.append(Target("looking: 1.2 of a prefill chunk at most", gap, 1.2, "x"))
    ratio("a picture's first token: 1.05 of llama-server", Looking.FIRST, LOAF, LLAMA_SERVER, 1.05, at_least=False)
    if (Queued.FIRST_BYTE, LOAF) in samples.values:
        first = samples.median(Queued.FIRST_BYTE, LOAF)
        targets.append(Target("something is heard within 50 ms", first, 0.05, "s"))
    ratio("64 streams: 1.1 of llama-server's time", ManyStreams.TIME, LOAF, LLAMA_SERVER, 1.1, at_least=False)
    if (speed_of("native"), LOAF) in samples.values:
        targets += _dialect_targets(samples)
    memory = [samples.values.get((MemoryAfter.RESIDENT, name)) for name in (LOAF, LLAMA_SERVER)]
    if all(memory):
        more = samples.median(MemoryAfter.RESIDENT, LOAF) - samples.median(MemoryAfter.RESIDENT, LLAMA_SERVER)
        targets.append(Target("60 MB more than llama-server at most", more, 60 * _MB, "bytes"))
    return targets


def _dialect_targets(samples: Samples) -> list[Target]:
    """Every dialect within 3 % of the native one."""
    targets = []
    for name in ASKED:
        if name != "native":
            speed, first = (samples.ratio((row(name), LOAF), (row("native"), LOAF)) for row in (speed_of, first_of))
            targets.append(Target(f"{name}: 0.97 of native tokens a second", speed, 0.97, "x", at_least=True))
            targets.append(Target(f"{name}: 1.03 of the native first piece", first, 1.03, "x"))
    return targets
