"""Bundles that compute for others, as processes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import TracebackType

from support.bundles import Server, clean_environment
from support.waiting import wait_until


class Worker:
    """A bundle that computes for others, as a process; `inside` is a command that runs it elsewhere."""

    def __init__(self, bundle: Path, *flags: str, cache: Path, inside: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*inside, str(bundle), "--worker", "--threads", "1", *flags],
            env=clean_environment(cache),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ""

    def __enter__(self) -> Worker:
        assert self.process.stderr is not None
        first = self.process.stderr.readline()
        match = re.match(r"Worker on ([\d.]+:\d+): .*--rpc \1 ", first)
        assert match, first + self.process.stderr.read()
        self.address = match[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(timeout=20)


def wait_until_said(server: Server, text: str, times: int = 1) -> None:
    """The server's lines are read by a thread, one by one: it may be a moment behind."""
    wait_until(lambda: sum(text in line for line in server.said) >= times, 60)
