"""`scripts/bench warm`: how soon the first token comes after a launch, with a prompt that the build has computed.

Two bundles of one model, with --warm and without, are launched in turn and asked the same: a prompt that begins with
the text of --warm. Each round asks for something else behind it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import click
from cases import GREEDY
from contestants import Contestant, Load, bundle
from models import Models
from processes import served
from report import Samples, Target, Unit, save, show
from streams import Answer, Exchange
from vocabularies import made_up_words

from bundler.file.baked import Baked
from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import progress_for

COLD, WARM = "without", "with --warm"
READY = "server: ready (200 on /health)"
FIRST = "first token, from the request on"
BOTH = "  from the launch on"
ROWS: dict[str, Unit] = {READY: "s", FIRST: "s", BOTH: "s"}
_ASKED, _ANSWERED = 14, 16
"""Tokens."""
_OF_A_WORD = 7
"""Tokens: the models of noise spell words, by their four letters and the three bytes of SentencePiece's space."""


@click.command()
@click.option("--model", default="100m", show_default=True, help="A GGUF, demo, 100m or 1b.")
@click.option("--tokens", type=click.IntRange(64), default=2000, show_default=True, help="Tokens of the text.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def warm(model: str, tokens: int, runs: int, json_file: Path | None) -> None:
    """Time to the first token after a launch, with a prompt computed at the build and without."""
    progress = progress_for()
    supply = MadeHere(progress)
    supply.runtimes()
    samples = Samples(ROWS, (COLD, WARM))
    text = _text("text", tokens)
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as name:
        folder = Path(name)
        weights = Models(folder).file(model)
        load = Load(context=tokens + 512, slots=1)
        contestants = {}
        for column, baked in ((COLD, Baked()), (WARM, Baked(warm=text))):
            request = BuildRequest(str(weights), output=folder / f"{column}.loaf", baked=baked)
            file = build_bundle(request, supply, progress).path
            contestants[column] = bundle(file, load, folder / f"cache {column}")
        said: dict[tuple[str, int], tuple[int, ...]] = {}
        with progress.step("Measuring", runs + 1, "steps") as advance:
            for number in range(runs + 1):
                into = samples if number else Samples(ROWS, (COLD, WARM))
                for column in (COLD, WARM) if number % 2 else (WARM, COLD):
                    prompt = f"{text} {_text(f'round {number}', _ASKED)}"
                    said[column, number] = _ask(contestants[column], prompt, column, into)
                advance(1)
    same = all(said[COLD, number] == said[WARM, number] for number in range(runs + 1))
    ratio = samples.ratio((FIRST, COLD), (FIRST, WARM))
    targets = [
        Target("first token 10 times sooner", ratio, 10, "x", at_least=True),
        Target("answers that differ", float(not same), 0, "x"),
    ]
    if json_file is not None:
        save(json_file, samples, targets)
    click.echo(show(f"{model}, {tokens:,} tokens, medians of {runs} (ratio)", samples, targets))


def _ask(contestant: Contestant, prompt: str, column: str, samples: Samples) -> tuple[int, ...]:
    """Launch, ask, note; returns the tokens of the answer."""
    with served(contestant.server, contestant.env) as server:
        answer = asyncio.run(_stream(server.port, prompt))
        samples.add(READY, column, server.ready)
    samples.add(FIRST, column, answer.first_token)
    samples.add(BOTH, column, server.ready + answer.first_token)
    return answer.tokens


async def _stream(port: int, prompt: str) -> Answer:
    body = {"prompt": prompt, "n_predict": _ANSWERED, "stream": True, "return_tokens": True, **GREEDY}
    exchange = Exchange(port, "/completion", body)
    await exchange.finished()
    return exchange.answer()


def _text(seed: str, length: int) -> str:
    """Words that come to so many tokens for a model of noise, or up to a word less."""
    chance = random.Random(seed)
    return " ".join(word.lstrip("\u2581") for word in chance.choices(made_up_words(20_000), k=length // _OF_A_WORD))
