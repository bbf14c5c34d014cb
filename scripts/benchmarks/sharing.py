"""`scripts/bench sharing`: what two models of one process take from each other, a chat model and an embedder.

Both run in this process, without HTTP: once with one worker between them, as a bundle of several models has it, once
with a worker, and so a thread, for each.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from cases import Prompts
from contestants import Load
from models import Models, vocabulary_size
from report import Samples, Unit, save, show

from bundler.progress import progress_for
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.types import EmbeddingRequest, GenerationRequest, Sampling
from runtime.engine.weights import Weights
from runtime.engine.worker import Worker
from runtime.settings import EngineSettings

UNUSED = "tokens, the embedder not used yet"
IDLE = "tokens, the embedder used before, idle now"
BESIDE_FEW = "tokens, a text embedded ten times a second"
LATENCY = "  until it is"
BESIDE_MANY = "tokens, texts embedded without a pause"
TEXTS = "  texts embedded"
GAP = "  longest gap between two tokens"
ROWS: dict[str, Unit] = {
    UNUSED: "/s", IDLE: "/s", BESIDE_FEW: "/s", LATENCY: "ms", BESIDE_MANY: "/s", TEXTS: "/s", GAP: "ms",
}  # fmt: skip
COLUMNS = ("one worker", "a worker each")
_TOKENS = 192
_AT_ONCE = 8
_TEXTS = 4


@click.command()
@click.option("--chat", default="100m", show_default=True, help="A GGUF, demo, 100m or 1b.")
@click.option("--embedder", default="bert-33m", show_default=True, help="A GGUF, or bert-33m.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def sharing(chat: str, embedder: str, runs: int, json_file: Path | None) -> None:
    """A chat model and an embedder in one process: alone, side by side, and when the other has nothing to do."""
    samples = Samples(ROWS, COLUMNS)
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder:
        models = Models(Path(folder))
        files = models.file(chat), models.file(embedder)
        with progress_for().step("Measuring", runs + 1, "steps") as advance:
            for number in range(runs + 1):
                into = samples if number else Samples(ROWS, COLUMNS)
                for column in COLUMNS if number % 2 else reversed(COLUMNS):
                    with _running(files, shared=column == COLUMNS[0]) as pair:
                        asyncio.run(_measure(pair, number, column, into))
                advance(1)
    if json_file is not None:
        save(json_file, samples, [])
    click.echo(show(f"{chat} and {embedder}, medians of {runs} (ratio)", samples, []))


@dataclass(frozen=True, slots=True)
class _Pair:
    chat: Engine
    embedder: Engine
    prompts: Prompts
    texts: Prompts


@contextmanager
def _running(files: tuple[Path, Path], *, shared: bool) -> Iterator[_Pair]:
    load = Load(context=4096, slots=4)
    settings = ContextSettings(load.context, load.slots, load.batch, load.ubatch, load.threads)
    worker = Worker()
    chat, embedder = (_engine(file, settings, worker if shared else Worker()) for file in files)
    try:
        yield _Pair(chat, embedder, Prompts(vocabulary_size(files[0])), Prompts(vocabulary_size(files[1])))
    finally:
        for engine in (chat, embedder):
            engine.stop()
            engine.join()


def _engine(file: Path, settings: ContextSettings, worker: Worker) -> Engine:
    def open_backend() -> LlamaBackend:
        return LlamaBackend(load_model(Weights(file), EngineSettings().load, threading.Event()), settings)

    engine = Engine(open_backend, worker=worker)
    engine.start()
    engine.ready.result()
    return engine


async def _measure(pair: _Pair, number: int, column: str, samples: Samples) -> None:
    await _generate(pair, f"warm up {number}")
    samples.add(UNUSED, column, (await _generate(pair, f"unused {number}"))[0])
    await _embed(pair, f"first {number}", _TEXTS)
    samples.add(IDLE, column, (await _generate(pair, f"idle {number}"))[0])
    async with _now_and_then(pair, number) as latencies:
        samples.add(BESIDE_FEW, column, (await _generate(pair, f"few {number}"))[0])
    samples.add(LATENCY, column, 1000 * statistics.median(latencies))
    began = time.perf_counter()
    async with _without_a_pause(pair, number) as counts:
        speed, gap = await _generate(pair, f"many {number}")
    samples.add(BESIDE_MANY, column, speed)
    samples.add(TEXTS, column, sum(counts) / (time.perf_counter() - began))
    samples.add(GAP, column, 1000 * gap)


async def _generate(pair: _Pair, seed: str) -> tuple[float, float]:
    """(tokens a second, longest gap between two in seconds) of one stream."""
    prompt = tuple(pair.prompts.random(seed, 32))
    request = GenerationRequest(prompt, _TOKENS, sampling=Sampling(seed=1, ignore_eos=True))
    times = [time.perf_counter() async for _burst in pair.chat.submit(request).bursts()]
    return _TOKENS / (times[-1] - times[0]), max(b - a for a, b in itertools.pairwise(times))


async def _embed(pair: _Pair, seed: str, count: int) -> None:
    texts = tuple(tuple(pair.texts.random(f"{seed} {i}", 32)) for i in range(count))
    await pair.embedder.embed(EmbeddingRequest(texts))


@asynccontextmanager
async def _now_and_then(pair: _Pair, number: int) -> AsyncIterator[list[float]]:
    """A text ten times a second while the block runs; seconds that each took."""
    latencies: list[float] = []

    async def embed() -> None:
        for i in itertools.count():
            began = time.perf_counter()
            await _embed(pair, f"few {number} {i}", 1)
            latencies.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)

    async with _while_running(embed()):
        yield latencies


@asynccontextmanager
async def _without_a_pause(pair: _Pair, number: int) -> AsyncIterator[list[int]]:
    """Requests of many texts each while the block runs, so many at once; how many texts were embedded."""
    counts: list[int] = []

    async def embed(client: int) -> None:
        for i in itertools.count():
            await _embed(pair, f"many {number} {client} {i}", _TEXTS)
            counts.append(_TEXTS)

    async with _while_running(*(embed(client) for client in range(_AT_ONCE))):
        yield counts


@asynccontextmanager
async def _while_running(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
