"""`scripts/bench scale`: conversations of many clients over one, two and three replicas, by prefix and in turn.

Each replica is in a network namespace, with a processor, or less where the machine has too few for three and those who
ask: then each has the same share of one, however many there are. Refuses to know how a request finds its replica
(`balancing.py`), and what a namespace is (`namespaces.py`).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from balancing import balanced
from namespaces import machines
from processes import plain_environment, served
from report import Samples, Target, Unit, save, show
from streams import Exchange, events_of

from bundler.making.build import BuildRequest
from bundler.making.build import build as build_bundle
from bundler.programs import MadeHere
from bundler.progress import progress_for
from runtime.machine.resources import processors

ROWS: dict[str, Unit] = {"tokens": "/s", "first token": "ms", "prefix tokens reused": "%"}
ONE = "one replica"
_MOST_REPLICAS = 3
_TOKENS = 24
"""Of each answer."""

Message = dict[str, str]


@click.command()
@click.option("--model", default="demo", show_default=True, help="What `loaf build` takes.")
@click.option("--clients", type=click.IntRange(1), default=48, show_default=True, help="Conversations at once.")
@click.option("--turns", type=click.IntRange(2), default=5, show_default=True, help="Of each conversation.")
@click.option("--share", type=float, help="Processors of each replica [1, or a quarter of all where that is less].")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every sample to this file.")
def scale(model: str, clients: int, turns: int, share: float | None, runs: int, json_file: Path | None) -> None:
    """Conversations over one, two and three replicas behind HAProxy, by prefix and in turn. Needs root."""
    progress = progress_for()
    share = share or min(1, processors().usable / (_MOST_REPLICAS + 1))
    setups = {ONE: (1, True)} | {
        f"{count}, {name}": (count, by_prefix)
        for count in range(2, _MOST_REPLICAS + 1)
        for name, by_prefix in (("by prefix", True), ("in turn", False))
    }
    samples = Samples(ROWS, list(setups))
    with tempfile.TemporaryDirectory(prefix="loaf-bench-") as folder:
        file = build_bundle(BuildRequest(model, output=Path(folder) / "bench.loaf"), MadeHere(progress), progress).path
        with progress.step("Measuring", runs * len(setups), "steps") as advance:
            for _ in range(runs):
                for name, (count, by_prefix) in setups.items():
                    figures = _measured(file, count, by_prefix, share, clients, turns)
                    for row, value in figures.items():
                        samples.add(row, name, value)
                    advance(1)
    reused = "prefix tokens reused"
    target = "prefix tokens reused with three replicas by prefix, of what one reuses"
    kept = samples.ratio((reused, "3, by prefix"), (reused, ONE))
    targets = [Target(target, kept, 0.9, "x", at_least=True)]
    if json_file is not None:
        save(json_file, samples, targets)
    title = f"{model}, {clients} clients, {turns} turns, {share:g} processors each, medians of {runs}"
    click.echo(show(title, samples, targets))


def _measured(file: Path, count: int, by_prefix: bool, share: float, clients: int, turns: int) -> dict[str, float]:
    flags = ["--server", "--nobrowser", "--log-disable", "--threads", "1", "--port", "{port}"]
    with ExitStack() as stack:
        replicas = []
        for machine in stack.enter_context(machines(count, processors=share)):
            command = [*machine.inside, str(file), *flags, "--host", machine.address]
            server = stack.enter_context(served(command, plain_environment(), host=machine.address))
            replicas.append(f"{machine.address}:{server.port}")
        port = server.port - 1
        stack.enter_context(balanced(port, replicas, by_prefix=by_prefix))
        return asyncio.run(_conversations(port, clients, turns))


async def _conversations(port: int, clients: int, turns: int) -> dict[str, float]:
    """All at once, each with its turns one after the other."""
    await _is_there(port)
    began = time.perf_counter()
    spoken = await asyncio.gather(*(_conversation(port, number, turns) for number in range(clients)))
    seconds = time.perf_counter() - began
    answers = [answer for conversation in spoken for answer in conversation]
    reused, known = sum(answer.reused for answer in answers), sum(answer.known for answer in answers)
    return {
        "tokens": sum(answer.tokens for answer in answers) / seconds,
        "first token": 1000 * statistics.median(answer.first for answer in answers),
        "prefix tokens reused": 100 * reused / known,
    }


@dataclass(frozen=True, slots=True)
class _Answer:
    """`known` tokens of the prompt were in the turns before, and `reused` of them were not computed again; `first`:
    seconds to the first token."""

    text: str
    first: float
    tokens: int
    known: int
    reused: int


async def _conversation(port: int, number: int, turns: int) -> list[_Answer]:
    messages = [
        {"role": "system", "content": "You are a helpful assistant. You answer in whole sentences and to the point."},
        {"role": "user", "content": f"Let us talk about the number {number}. What do you know of the moon?"},
    ]
    answers: list[_Answer] = []
    total = 0
    for _ in range(turns):
        answer, total = await _asked(port, messages, total)
        answers.append(answer)
        messages += [{"role": "assistant", "content": answer.text}, {"role": "user", "content": "And what else?"}]
    return answers


async def _asked(port: int, messages: list[Message], known: int) -> tuple[_Answer, int]:
    """The answer, and how many tokens the conversation has then."""
    body: dict[str, Any] = {"model": "any", "messages": messages, "max_tokens": _TOKENS, "stream": True}
    exchange = Exchange(port, "/v1/chat/completions", body | {"stream_options": {"include_usage": True}})
    await exchange.finished()
    text, first, usage = "", 0.0, None
    for arrived, event in events_of(exchange.pieces):
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            said = choice["delta"].get("content") or ""
            first = first or (arrived - exchange.sent if said else 0.0)
            text += said
    if usage is None:
        raise exchange.failed()
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    answer = _Answer(text, first, usage["completion_tokens"], known, min(cached, known))
    return answer, usage["total_tokens"]


async def _is_there(port: int) -> None:
    """Wait until HAProxy listens, and knows that its servers are well."""
    while True:
        try:
            exchange = Exchange(port, "/tokenize", {"content": "a"})
            await exchange.finished()
            exchange.content()
        except (OSError, AssertionError):
            await asyncio.sleep(0.05)
        else:
            return
