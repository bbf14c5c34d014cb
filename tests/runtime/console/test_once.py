"""`-p` as people use it: between pipes, with files, with a form for the answer, and in a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.console.errors import InputNotText, InputTooLarge
from runtime.console.printable import printable
from runtime.console.speed import speed_of
from runtime.console.standard_input import read_text
from runtime.engine.types import Usage
from support.bundles import clean_environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MOON = "Who was the first man on the moon?"
YES_OR_NO = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}


@pytest.fixture
def ask(demo: Path, run: Run, tmp_path: Path) -> Run:
    """Ask the demo bundle with the likeliest token each time; `piped` comes on standard input."""

    def ask(*flags: str, piped: bytes = b"") -> subprocess.CompletedProcess[str]:
        (tmp_path / "piped").write_bytes(piped)
        with (tmp_path / "piped").open() as stdin:
            return run(demo, "--temp", "0", *flags, stdin=stdin)

    return ask


def test_what_is_piped_in_comes_below_the_prompt(ask: Run) -> None:
    assert ask("-p", "Answer this.", piped=f"{MOON}\n".encode()).stdout == ask("-p", f"Answer this.\n\n{MOON}").stdout


def test_a_prompt_may_come_from_a_file_or_from_standard_input(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "prompt").write_text(f"{MOON}\n")
    answer = ask("-p", MOON)
    assert "Neil Armstrong" in answer.stdout
    assert answer.stderr == ""
    assert ask("-f", f"{tmp_path}/prompt").stdout == answer.stdout
    assert ask("-f", "-", piped=MOON.encode()).stdout == answer.stdout


def test_an_answer_with_a_schema_is_json_and_nothing_else(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(YES_OR_NO))
    for flags in (["--json-schema", f"{tmp_path}/schema.json"], ["-j", json.dumps(YES_OR_NO)]):
        result = ask("-p", MOON, *flags)
        assert (result.returncode, result.stderr) == (0, "")
        assert set(json.loads(result.stdout)) == {"sure"}


def test_an_answer_keeps_to_a_grammar(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "answers.gbnf").write_text('root ::= "yes" | "no"\n')
    result = ask("-p", MOON, "--grammar", f"{tmp_path}/answers.gbnf")
    assert result.stdout in ("yes\n", "no\n")
    assert result.returncode == 0


FAILURES: list[tuple[str, list[str], bytes, int, str]] = [
    ("nothing to answer", ["-p", ""], b"", 1, "the prompt is empty"),
    ("an empty pipe", ["-f", "-"], b"\n", 1, "the prompt is empty"),
    ("more than the context holds", ["-p", MOON], b"moon " * 20_000, 1, "exceeds the available context size"),
    ("no text", ["-p", MOON], b"\x7fELF\x02\x00", 1, "standard input is not text: byte 5 is 0"),
    ("a schema and too few tokens", ["-p", MOON, "-j", "{}", "-n", "1"], b"", 1, "it has the 1 tokens of --n-predict"),
    ("a full context", ["-p", MOON, "--ignore-eos", "-c", "64"], b"", 1, "the context is full"),
    ("a grammar that is none", ["-p", MOON, "--grammar", "root ::= ("], b"", 1, "the grammar cannot be parsed"),
    ("no such file", ["-f", "/no/such"], b"", 1, "/no/such: No such file"),
    ("images", ["-p", MOON, "--image", "cat.png"], b"", 1, "cat.png: this model takes text only"),
]


@pytest.mark.parametrize(
    ("flags", "piped", "code", "says"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_failures_have_a_code_and_a_reason(ask: Run, flags: list[str], piped: bytes, code: int, says: str) -> None:
    result = ask(*flags, piped=piped)
    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_n_predict_is_no_failure_where_the_answer_is_text(ask: Run) -> None:
    result = ask("-p", MOON, "-n", "3")
    assert (result.returncode, result.stderr) == (0, "")


def test_ctrl_c_stops_the_answer_and_keeps_what_was_said(demo: Path, warm_cache: Path) -> None:
    process = subprocess.Popen(
        [demo, "-p", MOON, "--ignore-eos", "--ctx-size", "100000"],
        env=clean_environment(warm_cache), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    rest, error = process.communicate(timeout=10)
    assert (process.returncode, error.strip()) == (130, b"")
    assert (first + rest).endswith(b"\n")


def test_a_person_is_told_how_fast_it_was(demo: Path, warm_cache: Path) -> None:
    """Standard error is a terminal, standard output is not: the answer alone goes there."""
    terminal, stderr = pty.openpty()
    environment = clean_environment(warm_cache, TERM="xterm")
    process = subprocess.run(
        [demo, "-p", MOON], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
    )
    os.close(stderr)
    said = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "tokens/s; prompt" in said
    assert "tokens/s" not in process.stdout.decode()


TEXTS = [
    ("the newline at the end", b"a\nb\n", "a\nb"),
    ("of Windows", b"a\r\nb\r\n", "a\r\nb"),
    ("a mark of UTF-8", b"\xef\xbb\xbfa", "a"),
    ("no UTF-8", b"caf\xe9 \xff", "caf\ufffd \ufffd"),
    ("nothing", b"", ""),
]


@pytest.mark.parametrize(("data", "text"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_standard_input_is_read_as_text(data: bytes, text: str) -> None:
    assert read_text(io.BytesIO(data)) == text


def test_standard_input_has_limits() -> None:
    assert read_text(io.BytesIO(b"12345"), limit=5) == "12345"
    with pytest.raises(InputTooLarge):
        read_text(io.BytesIO(b"123456"), limit=5)
    with pytest.raises(InputNotText):
        read_text(io.BytesIO("text".encode("utf-16")))


def test_a_terminal_gets_no_orders() -> None:
    assert printable("a\x1b]52;c;eA==\x07b\x9b31m\rc\x7f") == "a]52;c;eA==b31mc"
    assert printable("line\n\ttab é 漢 \U0001f44d") == "line\n\ttab é 漢 \U0001f44d"


def test_speed_is_told_in_a_line() -> None:
    usage = Usage(40, 30, 12, prompt_seconds=0.1, generation_seconds=0.5)
    assert speed_of(usage) == "12 tokens, 24 tokens/s; prompt 40 tokens (30 known), 100 tokens/s"
    assert speed_of(Usage(5, 5, 0, 0.0, 0.0)) == "0 tokens; prompt 5 tokens (5 known)"
