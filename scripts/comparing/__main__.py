"""`scripts/compare`: what llama-server and loaf say, greedily, of the same pictures with the same random weights, and
which vectors they have of them."""

from __future__ import annotations

import http.client
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import mul
from pathlib import Path
from typing import Any

import click

from support.bundles import Server
from support.from_source import program_in
from support.pictures import base64_of
from support.seeing import FAMILIES, MODEL, seeing_files
from support.shown import PROMPTS, RECORDED, RECORDED_VECTORS, TOKENS, Picture, file_of

_START_SECONDS = 60
_SURE = 0.05
"""How much more likely than the next a token is, in logarithms, if rounding is not to choose."""

_ALIKE = 0.9999
"""The cosine of two vectors that are the same but for rounding."""

_KEPT = 16
"""Numbers of a vector that are recorded."""

_POOLED = ("--embeddings", "--pooling", "last")
"""The last token's alone is the same: of several llama-server has those that come after the last picture."""

Ask = Callable[[str, Any], Any]
"""What comes back, as JSON, for a path and a body: None asks with GET."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--record", is_flag=True, help="Write what llama-server says to tests/data, for the tests.")
@click.argument("llama_server", type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path))
def compare(record: bool, llama_server: Path) -> None:
    """Ask LLAMA_SERVER and loaf about pictures. Exits with 1 where they do not say the same."""
    sure: dict[str, dict[str, str]] = {}
    beginnings: dict[str, dict[str, list[float]]] = {}
    different = 0
    for family in FAMILIES:
        with tempfile.TemporaryDirectory(prefix="loaf-compare-") as name:
            files = seeing_files(Path(name), family)
            with _llama_server(llama_server, files) as ask:
                theirs = _said(ask)
            with _llama_server(llama_server, files, *_POOLED) as ask:
                their_vectors = _vectors(ask)
            with _loaf(files, Path(name)) as ask:
                ours, our_vectors = _said(ask), _vectors(ask)
        for prompt, answer in theirs.items():
            same = ours[prompt]["content"] == answer["content"]
            different += not same
            click.echo(f"{family:<8} {prompt:<7} {'the same' if same else 'OTHER'}  {answer['content']!r}")
            if not same:
                click.echo(f"{'':<8} loaf:{'':<12}{ours[prompt]['content']!r}")
        for prompt, vector in their_vectors.items():
            alike = _cosine(our_vectors[prompt], vector)
            different += alike < _ALIKE
            click.echo(f"{family:<8} {prompt:<7} {'the same' if alike >= _ALIKE else 'OTHER'}  cosine {alike:.6f}")
        sure[family] = {prompt: _sure(answer) for prompt, answer in theirs.items()}
        beginnings[family] = {prompt: [round(one, 4) for one in v[:_KEPT]] for prompt, v in their_vectors.items()}
    if record:
        RECORDED_VECTORS.write_text(json.dumps(beginnings) + "\n", "utf-8")
        RECORDED.write_text(json.dumps(sure, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sys.exit(1 if different else 0)


def _said(ask: Ask) -> dict[str, Any]:
    """By prompt."""
    marker = ask("/props", None)["media_marker"]
    return {name: _answer(ask, marker, parts) for name, parts in PROMPTS.items()}


def _vectors(ask: Ask) -> dict[str, list[float]]:
    """By prompt."""
    marker = ask("/props", None)["media_marker"]
    asked = {name: ask("/embeddings", {"content": _prompt(marker, parts)}) for name, parts in PROMPTS.items()}
    return {name: told[0]["embedding"][0] for name, told in asked.items()}


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(map(mul, one, other)) / math.hypot(*one) / math.hypot(*other)


def _answer(ask: Ask, marker: str, parts: tuple[str | Picture, ...]) -> Any:
    prompt = _prompt(marker, parts)
    return ask("/completion", {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "n_probs": 2})


def _prompt(marker: str, parts: tuple[str | Picture, ...]) -> dict[str, Any]:
    text = "".join(part if isinstance(part, str) else marker for part in parts)
    pictures = [base64_of(file_of(part)) for part in parts if not isinstance(part, str)]
    return {"prompt_string": text, "multimodal_data": pictures}


def _sure(answer: Any) -> str:
    """The text up to where another token was nearly as likely: there another processor may round to that one."""
    text = b""
    for one in answer["completion_probabilities"]:
        first, second = (each["logprob"] for each in one["top_logprobs"])
        if first - second < _SURE:
            break
        text += bytes(one["bytes"])
    return text.decode("utf-8", "replace").rstrip("\ufffd")


@contextmanager
def _loaf(projector: Path, folder: Path) -> Iterator[Ask]:
    flags = ("-m", str(projector.with_name(MODEL)), "--mmproj", str(projector), "-c", "1024", "-t", "1", *_POOLED)
    with Server(program_in(folder), *flags, cache=folder / "cache") as server:

        def ask(path: str, body: Any) -> Any:
            status, told = server.get(path) if body is None else server.post(path, body)
            if status != 200:
                raise click.ClickException(f"loaf answers {status}: {told}")
            return told

        yield ask


@contextmanager
def _llama_server(program: Path, projector: Path, *more: str) -> Iterator[Ask]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "-m", projector.with_name(MODEL), "--mmproj", projector, "-c", "1024", "-t", "1", "-np", "1",
               "--host", "127.0.0.1", "--port", str(port), "--no-webui", *more]  # fmt: skip
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise click.ClickException(f"llama-server does not start: {log.read()[-2000:]}")
                time.sleep(0.05)
            yield lambda path, body: _asked(port, path, body)
        finally:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        return bool(_asked(port, "/health", None)["status"] == "ok")
    except (OSError, click.ClickException):
        return False


def _asked(port: int, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise click.ClickException(f"llama-server answers {answer.status}: {content.decode(errors='replace')[:500]}")
    return json.loads(content)


if __name__ == "__main__":
    compare(prog_name="scripts/compare")
