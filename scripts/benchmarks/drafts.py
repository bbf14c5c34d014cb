"""`scripts/bench draft`: what a draft model brings, and what one costs that is of no use.

Engines of this process, without HTTP, take turns: without a draft model, with one that is right after four tokens of
five, and with one that is never right. Streams run alone, and several at once; how much each engine has learnt of its
draft model by then, it has learnt in this run, from the first round on.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from cases import Prompts
from contestants import Load
from models import Models, vocabulary_size
from report import Samples, Target, Unit, save, show

from bundler.progress import progress_for
from runtime.engine.engine import Engine
from runtime.engine.llama.backend import LlamaBackend
from runtime.engine.llama.drafter import Draft
from runtime.engine.llama.loading import load_model
from runtime.engine.settings import ContextSettings
from runtime.engine.types import FinishedEvent, GenerationRequest, Sampling
from runtime.engine.weights import Weights
from runtime.settings import EngineSettings

MODEL = "370m"
WITHOUT, OFTEN, NEVER = "without", "right 4 times in 5", "never right"
DRAFTS = {WITHOUT: None, OFTEN: "draft-80", NEVER: "draft-0"}
STREAMS = (1, 4, 16)
_PROMPT = 64


def speed_of(streams: int) -> str:
    """The row of so many."""
    return f"{streams} stream{'s' if streams > 1 else ''}: tokens"


def right_of(streams: int) -> str:
    """The row of how many of their tokens were guessed."""
    return f"  of them guessed ({streams})"


ROWS: dict[str, Unit] = {}
for _streams in STREAMS:
    ROWS |= {speed_of(_streams): "/s", right_of(_streams): "%"}


@click.command()
@click.option("--tokens", type=click.IntRange(16), default=300, show_default=True, help="Tokens of each stream.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds; all are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def draft(tokens: int, runs: int, json_file: Path | None) -> None:
    """A model of 370 million parameters alone, and with draft models that are right, and that are not."""
    samples = Samples(ROWS, tuple(DRAFTS))
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder, ExitStack() as closing:
        models = Models(Path(folder))
        prompts = Prompts(vocabulary_size(models.file(MODEL)))
        engines = {column: closing.enter_context(_running(models, name)) for column, name in DRAFTS.items()}
        with progress_for().step("Measuring", runs * len(STREAMS), "steps") as advance:
            for number in range(runs):
                for streams in STREAMS:
                    asked = [prompts.random(f"{number} {streams} {stream}", _PROMPT) for stream in range(streams)]
                    for column in DRAFTS if number % 2 else reversed(DRAFTS):
                        speed, guessed = asyncio.run(_generate(engines[column], asked, tokens))
                        samples.add(speed_of(streams), column, speed)
                        samples.add(right_of(streams), column, guessed)
                    advance(1)
    targets = [_target(samples, 1, OFTEN, 1.6)]
    targets += [_target(samples, streams, column, 0.97) for column in (OFTEN, NEVER) for streams in STREAMS]
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"{MODEL}, medians of {runs} (ratio)", samples, targets))


def _target(samples: Samples, streams: int, column: str, limit: float) -> Target:
    ratio = samples.ratio((speed_of(streams), column), (speed_of(streams), WITHOUT))
    return Target(f"{column}, streams: {streams}: {limit:g} of without", ratio, limit, "x", at_least=True)


@contextmanager
def _running(models: Models, draft_name: str | None) -> Iterator[Engine]:
    load = Load(context=16384, slots=max(STREAMS))

    def open_backend() -> LlamaBackend:
        guesses = None
        if draft_name is not None:
            weights = Weights(models.file(draft_name))
            guesses = Draft(weights, load_model(weights, EngineSettings().load, threading.Event()))
        settings = ContextSettings(
            load.context, load.slots, load.batch, load.ubatch, load.threads, max_draft=16 if guesses else 0
        )
        model = load_model(Weights(models.file(MODEL)), EngineSettings().load, threading.Event())
        return LlamaBackend(model, settings, draft=guesses)

    engine = Engine(open_backend)
    engine.start()
    try:
        engine.ready.result()
        yield engine
    finally:
        engine.stop()
        engine.join()


async def _generate(engine: Engine, prompts: Sequence[list[int]], tokens: int) -> tuple[float, float]:
    """(tokens a second of all streams, how many in a hundred of them were guessed)."""

    async def one(prompt: list[int]) -> int:
        request = GenerationRequest(tuple(prompt), tokens, sampling=Sampling(temperature=0.0, ignore_eos=True))
        async for event in engine.submit(request):
            if isinstance(event, FinishedEvent):
                return event.usage.accepted_tokens
        raise AssertionError("the last event says that it has ended")

    began = time.perf_counter()
    guessed = await asyncio.gather(*map(one, prompts))
    count = tokens * len(prompts)
    return count / (time.perf_counter() - began), 100 * sum(guessed) / count
