"""The log: silent unless asked for, a line for each request, what llama.cpp says, and nothing that prompts say."""

from __future__ import annotations

import http.client
import json
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.engine.llama import logs as llama_logs
from runtime.machine import logs
from support.bundles import Server

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SECRET = "Who was the first man on the moon?"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def requests() -> Iterator[logging.Logger]:
    """The logger of requests, silent again afterwards."""
    yield logging.getLogger(logs.REQUESTS)
    logs.start_logging()


def test_nothing_is_written_unless_asked_for(requests: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start_logging()
    requests.critical("nobody asked")
    assert capsys.readouterr() == ("", "")


def test_lines_for_people_and_for_programs(
    requests: logging.Logger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    logs.start_logging(verbose=True, file=tmp_path / "log")
    requests.warning("what %s", "happened")
    text = capsys.readouterr().err
    assert re.fullmatch(rf"{_TIME} WARNING requests: what happened\n", text)
    assert (tmp_path / "log").read_text() == text
    logs.start_logging(file=tmp_path / "log", form="json")
    requests.info("a\nb\u2028", extra={"fields": {"status": 200}})
    line = (tmp_path / "log").read_text().removeprefix(text)
    told = json.loads(line)
    assert line.count("\n") == 1
    assert line.isascii()
    assert re.fullmatch(_TIME, told.pop("time"))
    assert told == {"level": "info", "source": "requests", "message": "a\nb\u2028", "status": 200}


def test_a_log_that_cannot_be_written_to_ends_nothing_and_is_told_once(
    requests: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.start_logging(file=Path("/dev/full"))
    requests.info("no room")
    requests.info("none for a second one")
    assert capsys.readouterr() == ("", "error: /dev/full: No space left on device: lines of the log are lost\n")
    with pytest.raises(OSError, match="No such file"):
        logs.start_logging(file=Path("/no/such/log"))


def test_pieces_of_llama_cpps_lines_are_put_together(tmp_path: Path) -> None:
    logs.start_logging(file=tmp_path / "log")
    tail = _Tail()
    tail.take(2, b"loading ")
    tail.take(5, b".")
    tail.take(5, b".\n\n")
    tail.take(1, b"a detail\nand ")
    tail.take(5, b"more\n")
    tail.take(4, b"\xff\n")
    logs.start_logging()
    said = [line.partition(" ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert said == [
        "INFO llama.cpp: loading ..",
        "DEBUG llama.cpp: a detail",
        "DEBUG llama.cpp: and more",
        "ERROR llama.cpp: \ufffd",
    ]


class _Tail:
    """`LogTail` without the library that calls it."""

    def __init__(self) -> None:
        self._tail = object.__new__(llama_logs.LogTail)
        self._tail._heard = llama_logs._Heard()

    def take(self, level: int, text: bytes) -> None:
        self._tail._take(level, text, None)


def test_every_request_has_a_line(demo: Path, warm_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Server(demo, "--log-file", str(log), "--log-format", "json", cache=warm_cache) as server:
        chat = {"messages": [{"role": "user", "content": SECRET}], "max_tokens": 3}
        server.post("/v1/chat/completions", chat)
        server.stream("/v1/chat/completions", chat | {"n": 2})
        server.post("/api/generate", {"prompt": SECRET, "stream": False, "options": {"num_predict": 2}})
        server.get("/nowhere?token=secret")
        server.post("/v1/chat/completions", b"{")
        _leave(server)
        server.get("/health")
        lines = _requests_in(log)
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v1/chat/completions", 200),
        ("POST", "/v1/chat/completions", 200),
        ("POST", "/api/generate", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/v1/chat/completions", 400),
        ("POST", "/completion", 499),
        ("GET", "/health", 200),
    ]
    assert [line.get("generated_tokens") for line in lines] == [3, 6, 2, None, None, None, None]
    assert all(line["client"] == "127.0.0.1" and line["seconds"] >= 0 for line in lines)
    text = log.read_text()
    assert '"source": "llama.cpp"' in text
    assert "moon" not in text
    assert "secret" not in text
    assert not any("llama.cpp" in line or "POST" in line for line in server.said)


def _leave(server: Server) -> None:
    """Ask for a long answer, and go once it has begun; the next request is answered after that was noticed."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = {"prompt": "Once", "n_predict": 100_000, "ignore_eos": True, "stream": True}
    connection.request("POST", "/completion", json.dumps(body))
    response = connection.getresponse()
    response.readline()
    connection.close()
    response.close()
    while any(slot["is_processing"] for slot in server.get("/slots")[1]):
        pass


def _requests_in(log: Path) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in told if line["source"] == "requests" and line["path"] != "/slots"]


def test_verbose_tells_on_standard_error(demo: Path, run: Run) -> None:
    quiet = run(demo, "-p", SECRET, "-n", "1")
    assert quiet.stderr == ""
    loud = run(demo, "-p", SECRET, "-n", "1", "--verbose")
    assert re.search(rf"^{_TIME} INFO llama\.cpp: ", loud.stderr, re.MULTILINE)
    assert loud.stdout.count("\n") == 1


def test_a_log_file_that_cannot_be_opened_is_told(demo: Path, run: Run) -> None:
    done = run(demo, "-p", SECRET, "--log-file", "/no/such/log")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: /no/such/log: No such file or directory" in done.stderr
