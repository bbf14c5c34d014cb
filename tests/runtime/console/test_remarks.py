"""What is said of a model before anything is asked, by a server and by a chat, in lines that keep to the window."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from runtime.console.remarks import remarks
from runtime.engine.engine import Engine
from runtime.engine.settings import Rope
from runtime.engine.weights import Weights
from runtime.models.served import Loading, ServedModel
from runtime.settings import ChatSettings, EngineSettings, Settings
from support.bundles import DEMO_GGUF, clean_environment
from support.fakes import FakeContext, FakeModel
from support.terminals import READY, Terminal

TOO_LONG = "was trained for 2,048 tokens: what it says behind them makes little sense"


def untaught() -> FakeModel:
    """Trained for 50 tokens, and without a template."""
    model = FakeModel()
    model.facts = msgspec.structs.replace(model.facts, n_ctx_train=50, chat_template="")
    return model


SAID = [
    ("both", {}, {}, ["was trained for 50 tokens", "has no chat template"]),
    ("a template", {}, {"chat": ChatSettings(template="x")}, ["was trained for 50 tokens"]),
    ("a context that it knows", {"n_ctx": 50}, {}, ["has no chat template"]),
    ("positions that are told", {}, {"engine": EngineSettings(rope=Rope("yarn"))}, ["has no chat template"]),
    ("no text", {"generates": False}, {}, []),
]


@pytest.mark.parametrize(("context", "settings", "said"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_is_remarkable_is_said(context: dict[str, int], settings: dict[str, object], said: list[str]) -> None:
    engine = Engine(lambda: FakeContext(model=untaught(), **context))  # type: ignore[arg-type]
    engine.start()
    engine.ready.result(10)
    try:
        served = ServedModel("small", Weights(Path("small.gguf")), 0, "", engine, Loading())
        for by_name, who in ((False, "The model"), (True, "small")):
            lines = remarks(served, Settings(**settings), by_name=by_name)  # type: ignore[arg-type]
            assert len(lines) == len(said)
            assert all(line.startswith(f"{who} {part}") for line, part in zip(lines, said, strict=True)), lines
    finally:
        engine.stop()
        engine.join(10)


@pytest.mark.parametrize(
    ("flags", "ready"), [(["--chat"], READY), (["--server", "--port", "0", "--nobrowser"], "(Ctrl-C stops)")]
)
def test_a_chat_and_a_server_say_it_in_lines_that_keep_to_the_window(flags: list[str], ready: str) -> None:
    command = [sys.executable, "-m", "runtime", "-m", str(DEMO_GGUF), "-c", "20000", *flags]
    terminal = Terminal(command, clean_environment(TERM="xterm-256color"), 60)
    try:
        shown = terminal.until(ready)
    finally:
        terminal.close()
    assert f"The model {TOO_LONG}" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) < 60
