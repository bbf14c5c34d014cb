"""What a command says of long steps: lines in a log, a bar on a terminal, or nothing."""

from __future__ import annotations

import io
import time

import pytest

from bundler.progress import LineProgress, SilentProgress, TerminalProgress, format_bytes


class TestProgress:
    def test_lines_when_there_is_no_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Compiling", 100, "steps") as advance:
            for _ in range(100):
                clock.now += 1
                advance(1)
        lines = stream.getvalue().splitlines()
        assert lines[0] == "Compiling ..."
        assert lines[1] == "Compiling:  10%  10 of 100  1:30 left"
        assert lines[-1] == "Compiling: done in 1:40"
        assert len(lines) == 11

    def test_a_short_step_does_not_fill_the_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Copying", 100, "bytes") as advance:
            for _ in range(100):
                advance(1)
        assert stream.getvalue() == "Copying ...\n"

    def test_a_sign_of_life_when_no_end_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        stream = io.StringIO()
        with LineProgress(stream).step("Freezing", None, "steps") as advance:
            for _ in range(62):
                clock.now += 1
                advance(1)
        assert stream.getvalue().splitlines()[1:3] == ["Freezing: 30, 0:30", "Freezing: 60, 1:00"]

    def test_a_bar_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = _Clock(monkeypatch)
        monkeypatch.setenv("COLUMNS", "200")
        stream = io.StringIO()
        with TerminalProgress(stream).step("Writing", 4 * 10**9, "bytes") as advance:
            clock.now += 10
            advance(10**9)
        pictures = stream.getvalue().split("\r\x1b[K")
        assert pictures[2] == f"Writing  [{'#' * 6}{'.' * 18}]  25%  1.00 GB of 4.00 GB  0:30 left"
        assert pictures[-1] == ""

    def test_silence(self) -> None:
        with SilentProgress().step("Writing", 1, "bytes") as advance:
            advance(1)
        SilentProgress().say("nothing")

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (21_800_000, "21.8 MB"), (4 * 10**9, "4.00 GB")],
    )
    def test_bytes(self, count: int, text: str) -> None:
        assert format_bytes(count) == text


class _Clock:
    """Stands in for the monotonic clock; starts at 1000 seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
