"""`scripts/bench batch`: what a batch costs beyond the engine, which is given the same requests without it.

Both compute the same prompts and as many tokens, with the same number of sequences. The engine runs in this process and
is given all requests at once; the batch is a bundle's `--batch`, a process, timed by its own clock from the loaded
model to the last result in the file.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from cases import Prompts
from contestants import Load
from models import Models, vocabulary_size
from processes import Disturbance, ProcessFailed, plain_environment
from report import Samples, Target, Unit, save, show

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import progress_for
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.types import GenerationRequest, Sampling
from runtime.engine.weights import Weights
from runtime.settings import EngineSettings

ENGINE, BATCH = "engine", "--batch"
SPEED = "tokens"
ROWS: dict[str, Unit] = {SPEED: "/s"}
_PROMPT = 16
_TOKENS = 32


@click.command()
@click.option("--model", default="100m", show_default=True, help="A GGUF, demo, 100m or 1b.")
@click.option("--requests", type=click.IntRange(1), default=500, show_default=True, help="In the batch.")
@click.option("--sequences", type=click.IntRange(1), default=16, show_default=True, help="In flight.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def batch(model: str, requests: int, sequences: int, runs: int, json_file: Path | None) -> None:
    """Tokens a second of --batch, beside those of the engine alone with the same requests."""
    progress = progress_for()
    supply = MadeHere(progress)
    supply.runtimes()
    samples = Samples(ROWS, (ENGINE, BATCH))
    load = Load(context=sequences * 256, slots=sequences)
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as name:
        folder = Path(name)
        file = build_bundle(BuildRequest("demo", output=folder / "bench.loaf"), supply, progress).path
        weights = Models(folder).file(model)
        prompts = Prompts(vocabulary_size(weights))
        disturbance = Disturbance()
        with progress.step("Measuring", runs, "steps") as advance:
            for number in range(runs):
                texts = [prompts.random(f"batch {number} {i}", _PROMPT) for i in range(requests)]
                for column in (ENGINE, BATCH) if number % 2 else (BATCH, ENGINE):
                    measure = _engine_speed if column == ENGINE else _batch_speed
                    samples.add(SPEED, column, measure(file, weights, load, texts))
                advance(1)
        others = disturbance.share()
    ratio = samples.ratio((SPEED, BATCH), (SPEED, ENGINE))
    targets = [Target("0.95 of the engine", ratio, 0.95, "x", at_least=True)]
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"{model}, {requests} requests, {sequences} at once, medians of {runs}", samples, targets))
    click.echo(f"\nOther processes took {others:.0%} of the machine's processors meanwhile.")


def _engine_speed(_file: Path, weights: Path, load: Load, texts: Sequence[list[int]]) -> float:
    settings = ContextSettings(load.context, load.slots, load.batch, load.ubatch, load.threads)

    def open_backend() -> LlamaBackend:
        return LlamaBackend(load_model(Weights(weights), EngineSettings().load, threading.Event()), settings)

    engine = Engine(open_backend, max_waiting=len(texts), shelf_bytes=EngineSettings().shelf_bytes)
    engine.start()
    try:
        engine.ready.result()
        began = time.perf_counter()
        asyncio.run(_generate(engine, texts))
        return len(texts) * _TOKENS / (time.perf_counter() - began)
    finally:
        engine.stop()
        engine.join()


async def _generate(engine: Engine, texts: Sequence[list[int]]) -> None:
    async def exhaust(text: list[int]) -> None:
        async for _ in engine.submit(GenerationRequest(tuple(text), _TOKENS, sampling=Sampling(**_sampling()))):
            pass

    await asyncio.gather(*map(exhaust, texts))


def _batch_speed(file: Path, weights: Path, load: Load, texts: Sequence[list[int]]) -> float:
    given, out = file.with_name("in.jsonl"), file.with_name("out.jsonl")
    given.write_text("".join(json.dumps(_line(number, text)) + "\n" for number, text in enumerate(texts)))
    out.unlink(missing_ok=True)
    command = [str(file), "--batch", str(given), "-o", str(out), "-m", str(weights), *load.flags]
    ended = subprocess.run(command, env=_environment(file.parent), capture_output=True, text=True, check=False)
    said = re.search(rf"{len(texts):,} answered, 0 failed; {len(texts) * _TOKENS:,} tokens in .*, ([\d,]+) tokens/s",
                     ended.stderr)  # fmt: skip
    if ended.returncode or said is None:
        raise ProcessFailed(command, ended.returncode, ended.stderr)
    return float(said[1].replace(",", ""))


def _line(number: int, text: list[int]) -> dict[str, Any]:
    body = {"prompt": text, "max_tokens": _TOKENS, **_sampling()}
    return {"custom_id": f"request-{number}", "method": "POST", "url": "/v1/completions", "body": body}


def _sampling() -> dict[str, Any]:
    return {"seed": 1, "ignore_eos": True}


def _environment(folder: Path) -> Mapping[str, str]:
    cache = folder / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    return plain_environment(LOAF_CACHE_DIR=os.fspath(cache))
