"""`scripts/bench engine`: what a step of the engine costs, without HTTP, and how much of it is llama.cpp's.

The engine runs in this process, and its generator is wrapped in one that notes when it is called: a step reaches from
one batch to the next, and what is neither computing nor sampling in it is the engine's own work, in Python.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
from cases import Prompts
from contestants import Load
from models import Models, vocabulary_size
from report import Samples, Unit, save, show

from bundler.progress import progress_for
from runtime.engine.backend import BatchItem, Generator, Sampled, Sampler
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.types import GenerationRequest, Sampling
from runtime.engine.weights import Weights
from runtime.settings import EngineSettings

TOKENS = "tokens"
STEP = "a step"
DECODE, SAMPLE, REST = "  of it llama_decode", "  sampling", "  the engine's own work"
SHARE = "  share of llama_decode"
PREFILL = "a prompt of 2,000 tokens"
SAMPLING = {
    "sampling a token: usual": {},
    "  under a grammar that allows it": {"grammar": 'root ::= (" " [a-z]+)*'},
    "  under one that asks for another": {"grammar": 'root ::= (" aaaa")*'},
    "  with the 10 most probable told": {"n_probs": 10},
}
ROWS: dict[str, Unit] = {
    TOKENS: "/s",
    STEP: "ms",
    DECODE: "ms",
    SAMPLE: "ms",
    REST: "ms",
    SHARE: "%",
    PREFILL: "/s",
    **dict.fromkeys(SAMPLING, "ms"),
}
SEQUENCES = (1, 8, 32)
_STEPS = 96
_PROMPT = 2000


@click.command()
@click.option("--model", default="100m", show_default=True, help="A GGUF, demo, 100m or 1b.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def engine(model: str, runs: int, json_file: Path | None) -> None:
    """Steps with 1, 8 and 32 sequences: time in llama.cpp, in sampling, in the engine itself; and prompts."""
    samples = Samples(ROWS, [_column(count) for count in SEQUENCES])
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder:
        weights = Models(Path(folder)).file(model)
        prompts = Prompts(vocabulary_size(weights))
        with progress_for().step("Measuring", runs + 1, "steps") as advance:
            for number in range(runs + 1):
                into = samples if number else Samples(ROWS, samples.columns)
                for count in SEQUENCES:
                    _measure_steps(weights, prompts, count, number, into)
                _measure_prompt(weights, prompts, number, into)
                _measure_sampling(weights, prompts, number, into)
                advance(1)
    if json_file is not None:
        save(json_file, samples, [])
    click.echo(show(f"{model}, medians of {runs} (ratio to the first column)", samples, []))


@dataclass(frozen=True, slots=True)
class Call:
    """One call of llama.cpp, in seconds on the clock of `time.perf_counter`; `tokens` computed, 0 for sampling."""

    began: float
    ended: float
    tokens: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds from one batch to the next, and what of them was spent on what."""

    whole: float
    decode: float
    sample: float


def steps_of(calls: Sequence[Call], sequences: int) -> list[Step]:
    """The steps in which each of `sequences` got one token, from `calls` in the order in which they were made.

    Those that are followed by another such step: only their end is known.
    """
    batches = [(index, call) for index, call in enumerate(calls) if call.tokens]
    return [
        Step(
            whole=after.began - batch.began,
            decode=batch.seconds,
            sample=sum(call.seconds for call in calls[index + 1 : next_index]),
        )
        for (index, batch), (next_index, after) in itertools.pairwise(batches)
        if batch.tokens == after.tokens == sequences
    ]


class _TimedSampler:
    """A sampler that notes its calls."""

    def __init__(self, sampler: Sampler, calls: list[Call]) -> None:
        self._sampler = sampler
        self._calls = calls

    def sample(self, output: int) -> Sampled:
        began = time.perf_counter()
        sampled = self._sampler.sample(output)
        self._calls.append(Call(began, time.perf_counter(), 0))
        return sampled

    def close(self) -> None:
        self._sampler.close()


class _TimedGenerator:
    """A generator that notes its batches, and gives out samplers that do."""

    def __init__(self, generator: Generator, calls: list[Call]) -> None:
        self._generator = generator
        self._calls = calls

    def decode(self, items: Sequence[BatchItem], scales: tuple[float, ...]) -> dict[int, int]:
        tokens = sum(len(item.tokens) for item in items)
        began = time.perf_counter()
        outputs = self._generator.decode(items, scales)
        self._calls.append(Call(began, time.perf_counter(), tokens))
        return outputs

    def decode_next(self, tokens: Sequence[int], scales: tuple[float, ...]) -> range:
        began = time.perf_counter()
        outputs = self._generator.decode_next(tokens, scales)
        self._calls.append(Call(began, time.perf_counter(), len(tokens)))
        return outputs

    def new_sampler(self, sampling: Sampling, prompt: Sequence[int]) -> _TimedSampler:
        return _TimedSampler(self._generator.new_sampler(sampling, prompt), self._calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


class _TimedBackend(LlamaBackend):
    """The runtime's own backend, whose generator notes its calls."""

    def __init__(self, weights: Path, settings: ContextSettings, calls: list[Call]) -> None:
        super().__init__(load_model(Weights(weights), EngineSettings().load, threading.Event()), settings)
        self._calls = calls

    @property
    def generator(self) -> Generator | None:
        generator = super().generator
        return cast(Generator, _TimedGenerator(generator, self._calls)) if generator else None


@dataclass(frozen=True, slots=True)
class _Bench:
    """An engine, and the calls that it has made of llama.cpp."""

    engine: Engine
    calls: list[Call] = field(default_factory=list)

    def generate(self, prompts: Sequence[list[int]], tokens: int, sampling: Sampling) -> list[Call]:
        """Continue all `prompts` at once; returns the calls that this took."""
        self.calls.clear()
        asyncio.run(self._generate(prompts, tokens, sampling))
        return list(self.calls)

    async def _generate(self, prompts: Sequence[list[int]], tokens: int, sampling: Sampling) -> None:
        requests = [GenerationRequest(tuple(prompt), tokens, sampling=sampling) for prompt in prompts]
        await asyncio.gather(*(_exhaust(self.engine.submit(request)) for request in requests))


async def _exhaust(events: Any) -> None:
    async for _ in events:
        pass


@contextmanager
def _running(weights: Path, sequences: int) -> Iterator[_Bench]:
    load = Load(context=4096 if sequences < 32 else 16384, slots=sequences)
    settings = ContextSettings(load.context, sequences, load.batch, load.ubatch, load.threads)
    calls: list[Call] = []
    bench = _Bench(Engine(lambda: _TimedBackend(weights, settings, calls)), calls)
    bench.engine.start()
    try:
        bench.engine.ready.result()
        yield bench
    finally:
        bench.engine.stop()
        bench.engine.join()


def _measure_steps(weights: Path, prompts: Prompts, sequences: int, number: int, samples: Samples) -> None:
    texts = [prompts.random(f"steps {number} {sequence}", 32) for sequence in range(sequences)]
    with _running(weights, sequences) as bench:
        steps = steps_of(bench.generate(texts, _STEPS, Sampling(seed=1, ignore_eos=True)), sequences)

    def of(part: Callable[[Step], float]) -> float:
        return statistics.mean(map(part, steps))

    column = _column(sequences)
    samples.add(TOKENS, column, sequences / of(lambda step: step.whole))
    samples.add(STEP, column, 1000 * of(lambda step: step.whole))
    samples.add(DECODE, column, 1000 * of(lambda step: step.decode))
    samples.add(SAMPLE, column, 1000 * of(lambda step: step.sample))
    samples.add(REST, column, 1000 * of(lambda step: step.whole - step.decode - step.sample))
    samples.add(SHARE, column, 100 * of(lambda step: step.decode) / of(lambda step: step.whole))


def _measure_prompt(weights: Path, prompts: Prompts, number: int, samples: Samples) -> None:
    with _running(weights, 1) as bench:
        calls = bench.generate([prompts.random(f"prompt {number}", _PROMPT)], 1, Sampling(temperature=0))
    samples.add(PREFILL, _column(1), _PROMPT / (calls[-1].ended - calls[0].began))


def _measure_sampling(weights: Path, prompts: Prompts, number: int, samples: Samples) -> None:
    with _running(weights, 1) as bench:
        for row, fields in SAMPLING.items():
            text = prompts.random(f"{row} {number}", 32)
            calls = bench.generate([text], _STEPS, Sampling(seed=1, ignore_eos=True, **cast(Any, fields)))
            samples.add(row, _column(1), 1000 * statistics.mean(call.seconds for call in calls if not call.tokens))


def _column(sequences: int) -> str:
    return "1 sequence" if sequences == 1 else f"{sequences} sequences"
