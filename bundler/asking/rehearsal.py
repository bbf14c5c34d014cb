"""Asks a program whether it understands what is to be baked into its bundle, before there is such a bundle.

Knows how a bundle is asked that has no weights and no programs. Refuses to know what can be wrong: the program itself
says so (`runtime/cli/building.py`), since it is the one that has to get along with it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bundler.asking.program import program_environment, unpacked_program
from bundler.errors import DefaultsRefused
from bundler.file.plan import Plan, PlannedRuntime
from bundler.file.writing import write_hollow
from runtime.cli.options import REHEARSE


def rehearse(plan: Plan) -> None:
    """Let the program for this machine read the defaults. Raises `DefaultsRefused`, `CacheError`, `OSError`."""
    runtime = runtime_for_here(plan.runtimes)
    if runtime is None or (not plan.args.strip() and plan.chat_template is None):
        return
    with tempfile.TemporaryFile() as file:
        write_hollow(plan, file.fileno())
        ask(runtime, path_of(file.fileno()), REHEARSE)


def ask(runtime: PlannedRuntime, bundle: Path, *asked: str | Path) -> bytes:
    """What the program answers when `bundle` is its bundle. Raises as `rehearse` does."""
    result = subprocess.run(
        [unpacked_program(runtime), *asked],
        env=program_environment(LOAF_BUNDLE=str(bundle)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if result.returncode:
        raise DefaultsRefused(_said(result.stderr.decode("utf-8", "replace")))
    return result.stdout


def runtime_for_here(runtimes: Sequence[PlannedRuntime]) -> PlannedRuntime | None:
    """The one of `runtimes` that this machine runs."""
    here = f"{platform.system().lower()}-{platform.machine()}"
    return next((runtime for runtime in runtimes if runtime.about.platform == here), None)


def path_of(fd: int) -> Path:
    """Where other processes find the file that is open as `fd`, be its name what it may."""
    return Path(f"/proc/{os.getpid()}/fd/{fd}")


def _said(text: str) -> str:
    """What an error says, without what click writes around it."""
    lines = [line for line in text.strip().splitlines() if line and not line.startswith(("Usage:", "Try "))]
    return "\n".join(lines).removeprefix("error: ").removeprefix("Error: ")
