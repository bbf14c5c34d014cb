"""Runs the long commands: pip, the compiler, PyInstaller.

Knows processes, their output and how to end them with everything they started. Refuses to know what the
commands do: whoever calls turns a `CommandFailed` into words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_TAIL_LINES = 400
_PATIENCE_SECONDS = 5.0
_FULL_DISK = os.strerror(errno.ENOSPC)  # how every tool says it, in the C locale


_TUNING = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LD_LIBRARY_PATH", "CMAKE_", "SKBUILD_", "PYTHON")
"""What the variables begin with that would change what the compiler, CMake or Python make."""


_at_work: set[subprocess.Popen[str]] = set()
_beginning = threading.Lock()
_is_ending = False


class CommandFailed(Exception):
    """A command ended with another exit code than 0. `tail` holds the last lines of its output."""

    def __init__(self, argv: Sequence[str], code: int, tail: Sequence[str]) -> None:
        super().__init__(f"{argv[0]} ended with exit code {code}")
        self.argv = tuple(argv)
        self.code = code
        self.tail = tuple(tail)


def ignore(line: str) -> None:
    """Hears a line of output and does nothing."""


def run(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    on_line: Callable[[str], object] = ignore,
) -> None:
    """Runs `argv` to its end, appends what it prints to `log`, and hands each line to `on_line`.

    The command sees exactly the environment `env`. When this function is left by an exception (Ctrl-C), the
    command and all it started are ended first.

    Raises CommandFailed, and OSError with ENOSPC when the command failed because a disk is full.
    """
    command = [str(part) for part in argv]
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with log.open("a", encoding="utf-8", errors="replace") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        with _beginning:
            if _is_ending:
                raise CommandFailed(command, -signal.SIGTERM, ())
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
            _at_work.add(process)
        try:
            for line in process.stdout or ():
                file.write(line)
                tail.append(line.rstrip("\n"))
                on_line(line)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            _at_work.discard(process)
    if code:
        if any(_FULL_DISK in line for line in tail):
            raise OSError(errno.ENOSPC, _FULL_DISK)
        raise CommandFailed(command, code, tail)


@contextlib.contextmanager
def end_all() -> Iterator[None]:
    """End what all threads run, as if it had failed. Until the block is left, nothing else is begun."""
    global _is_ending
    with _beginning:
        _is_ending = True
    try:
        for process in list(_at_work):
            _end(process)
        yield
    finally:
        _is_ending = False


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment for a command whose result must not depend on it.

    The variables by which the tools are usually tuned are left out; messages are in English.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_TUNING)}
    return {**kept, "LC_ALL": "C.UTF-8", **changes}


def _end(process: subprocess.Popen[str]) -> None:
    """Ends all that the command started.

    That is its process group, and the compilers, which ninja keeps in groups of their own: it ends them when
    it is asked to end itself, so nothing is killed before it had the time to.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
