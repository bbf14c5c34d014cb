"""Measuring processes from outside: time, memory, bytes written; of a command that ends, or of a server.

Knows Linux's accounting. Refuses to know what the processes are.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

_POLL_SECONDS = 0.001
_ACCOUNTED_BLOCK = 512  # bytes; what ru_oublock counts
_BELOW_EPHEMERAL = (20_000, 32_000)
"""Ports to serve on. A client that polls a free port of the ephemeral range can end up connected to itself."""


class ProcessFailed(Exception):
    """A measured process ended in another way than it should; `said` is what it wrote to stderr."""

    def __init__(self, command: Sequence[str], code: int | None, said: str) -> None:
        super().__init__(f"{' '.join(command)}: exit code {code}\n{said}")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ran to its end, with the children it waited for.

    `peak_memory` is the largest resident set of any one of them, in bytes. It cannot come out below that of
    the process that measures, because exec keeps the mark that the fork left: keep that one small.
    `written` are bytes handed to a file system on disk, even if the file was deleted later.
    """

    seconds: float
    peak_memory: int
    written: int
    output: str


def run_to_end(command: Sequence[str], env: Mapping[str, str]) -> Ended:
    """Runs `command`. Raises ProcessFailed unless it exits with 0."""
    with _memory_file() as output, _memory_file() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise ProcessFailed(command, process.returncode, errors.read())
        output.seek(0)
        return Ended(seconds, usage.ru_maxrss * 1024, usage.ru_oublock * _ACCOUNTED_BLOCK, output.read())


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of physical memory. `resident` counts shared and file pages in full, `proportional` by their
    share; `anonymous` is what belongs to no file and could only go to swap."""

    resident: int
    proportional: int
    anonymous: int


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that has said 200 on /health.

    `answers` and `ready` are seconds from exec to the first answer of any kind (503 while loading) and to
    the first 200.
    """

    pid: int
    port: int
    answers: float
    ready: float

    def memory(self) -> Memory:
        """Of the process and its descendants, now."""
        rollups = [_rollup(pid) for pid in process_tree(self.pid)]
        return Memory(*(sum(each[field] for each in rollups) for field in ("Rss", "Pss", "Anonymous")))

    def processor_time(self) -> float:
        """Seconds that the process and its descendants have had of processors so far (proc(5), utime and stime)."""
        ticks = 0
        for pid in process_tree(self.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def written(self) -> int:
        """Bytes handed to a file system on disk so far, by the process, its descendants and those it waited for."""
        pids = process_tree(self.pid)
        return sum(int(_field(Path(f"/proc/{pid}/io").read_text(), "write_bytes")) for pid in pids)

    def maps(self) -> str:
        """/proc/PID/maps."""
        return Path(f"/proc/{self.pid}/maps").read_text()


@contextmanager
def served(
    command: Sequence[str], env: Mapping[str, str], *, host: str = "127.0.0.1", patience: float = 300
) -> Iterator[RunningServer]:
    """Starts a server and yields it once it is ready at `host`; `{port}` in `command` is replaced by a free one.

    Ends it with SIGTERM. Raises ProcessFailed when it ends before it is ready, or is not ready within
    `patience` seconds.
    """
    port = _free_port()
    command = [part.replace("{port}", str(port)) for part in command]
    with _memory_file() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            answers, ready = _wait_until_ready(process, (host, port), began, patience)
        except ProcessFailed:
            _end(process)
            said.seek(0)
            raise ProcessFailed(command, process.returncode, said.read()[-2000:]) from None
        except BaseException:
            _end(process)
            raise
        try:
            yield RunningServer(process.pid, port, answers, ready)
        finally:
            _end(process)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a measurement shares the machine with, from the moment it is made."""

    began: float = field(default_factory=time.perf_counter)
    busy: float = field(default_factory=lambda: _machine_busy())
    own: float = field(default_factory=lambda: sum(os.times()[:4]))

    def share(self) -> float:
        """How much of all processors' time others have taken, from 0 to 1.

        This process counts as ours, and so do its children once they have ended and it has waited for them.
        """
        others = _machine_busy() - self.busy - (sum(os.times()[:4]) - self.own)
        return max(0.0, others / (os.cpu_count() or 1) / (time.perf_counter() - self.began))


def _machine_busy() -> float:
    """Seconds that all processors together have worked since the system started (proc(5), /proc/stat)."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split(maxsplit=4)[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def process_tree(pid: int) -> list[int]:
    """`pid` and its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += process_tree(int(child))
    return found


def size_on_disk(folder: Path) -> int:
    """Bytes that everything in `folder` takes on disk, as `du` counts."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def plain_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would steer a bundle, PyInstaller or llama-server."""
    steering = re.compile("(LOAF|LLAMA|GGML|PYTHON).*|XDG_CACHE_HOME|(WAYLAND_)?DISPLAY")
    return {name: value for name, value in os.environ.items() if not steering.fullmatch(name)} | more


def _wait_until_ready(
    process: subprocess.Popen[bytes], address: tuple[str, int], began: float, patience: float
) -> tuple[float, float]:
    answers = None
    while (now := time.perf_counter() - began) < patience:
        status = _health(address)
        now = time.perf_counter() - began
        if status is not None:
            answers = now if answers is None else answers
            if status == 200:
                return answers, now
        elif process.poll() is not None:
            break
        time.sleep(_POLL_SECONDS)
    raise ProcessFailed([], None, "")


def _health(address: tuple[str, int]) -> int | None:
    """The status with which /health is answered; None while nobody answers."""
    try:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            first = connection.recv(64).split()
    except (ConnectionError, TimeoutError):
        return None
    return int(first[1]) if len(first) > 1 else None


def _free_port() -> int:
    while True:
        port = random.randint(*_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _rollup(pid: int) -> dict[str, int]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(_field(text, name)) * 1024 for name in ("Rss", "Pss", "Anonymous")}


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE)
    assert match is not None, f"the kernel does not tell {name}"
    return match[1]


def _memory_file() -> TextIO:
    """A file that is on no disk, so that what a process says is not counted as written."""
    return os.fdopen(os.memfd_create("said"), "w+", encoding="utf-8", errors="replace")
