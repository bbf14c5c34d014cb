"""`scripts/bench rpc`: a model on two workers, on loopback and behind a network, beside the same machine alone.

Each of the machines has so many processors as the machine alone has threads, as far as there are as many. Refuses to
know what a worker is sent.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from delaying import delayed
from namespaces import Machine, machines
from processes import ProcessFailed, plain_environment, served
from report import Samples, Unit, save, show

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import progress_for

ROWS: dict[str, Unit] = {"ready": "s", "prompt": "/s", "tokens": "/s"}
ALONE = "this machine"
LOOPBACK = "2 workers, loopback"
_WORKERS = 2
_PROMPT = "The moon is far away and the night is long. " * 40
_TOKENS = 64


@click.command()
@click.option("--model", default="demo", show_default=True, help="What `loaf build` takes.")
@click.option("--rate", default="1gbit", show_default=True, help="Of the network, as tc(8) writes it.")
@click.option("--round-trip", type=float, default=0.2, show_default=True, help="Milliseconds there and back.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def rpc(model: str, rate: str, round_trip: float, runs: int, json_file: Path | None) -> None:
    """A model on two workers: on loopback, and in network namespaces behind a network. Needs root."""
    progress = progress_for()
    network = f"2 workers, {rate}, {round_trip:g} ms"
    samples = Samples(ROWS, [ALONE, LOOPBACK, network])
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder:
        file = build_bundle(BuildRequest(model, output=Path(folder) / "bench.loaf"), MadeHere(progress), progress).path
        with progress.step("Measuring", 3 * runs, "steps") as advance:
            for _ in range(runs):
                with ExitStack() as stack:
                    _measure(samples, ALONE, file, [])
                    advance(1)
                    workers = [stack.enter_context(_worker(file)) for _ in range(_WORKERS)]
                    _measure(samples, LOOPBACK, file, workers)
                    advance(1)
                with ExitStack() as stack:
                    inside = stack.enter_context(machines(_WORKERS, processors=1, rate=rate))
                    ports = [stack.enter_context(_worker_in(file, machine, round_trip / 2000)) for machine in inside]
                    _measure(samples, network, file, ports)
                    advance(1)
    if json_file is not None:
        save(json_file, samples, [])
    click.echo(show(f"{model}, medians of {runs}", samples, []))


def _measure(samples: Samples, column: str, file: Path, workers: Sequence[int]) -> None:
    """Start, a long prompt, and tokens, one of each."""
    command = [str(file), "--server", "--nobrowser", "--log-disable", "--threads", "1", "--port", "{port}"]
    if workers:
        command += ["--rpc", ",".join(f"127.0.0.1:{port}" for port in workers), "-ngl", "999"]
    with served(command, plain_environment()) as server:
        samples.add("ready", column, server.ready)
        body = {"prompt": _PROMPT, "n_predict": _TOKENS, "ignore_eos": True, "temperature": 0}
        url = f"http://127.0.0.1:{server.port}/completion"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as answer:
            timings = json.load(answer)["timings"]
        samples.add("prompt", column, timings["prompt_per_second"])
        samples.add("tokens", column, timings["predicted_per_second"])


@contextmanager
def _worker(file: Path, inside: Sequence[str] = (), *flags: str) -> Iterator[int]:
    """The port of a worker, until the block ends."""
    command = [*inside, str(file), "--worker", "--threads", "1", "--port", "0", *flags]
    process = subprocess.Popen(
        command, env=plain_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.match(r"Worker on [\d.]+:(\d+)", first)
        if found is None:
            raise ProcessFailed(command, process.poll(), first)
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _worker_in(file: Path, machine: Machine, seconds: float) -> Iterator[int]:
    """The port of loopback behind which a worker of `machine` is, so far away in each direction."""
    flags = ("--host", machine.address, "--worker-insecure")
    with _worker(file, machine.inside, *flags) as port, delayed(machine.address, port, seconds) as near:
        yield near
