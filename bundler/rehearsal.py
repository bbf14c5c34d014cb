"""Asks a program whether it understands what is to be baked into its bundle, before there is such a bundle.

Knows how a bundle is asked that has no weights and no programs. Refuses to know what can be wrong: the program itself
says so (`runtime/cli/rehearsal.py`), since it is the one that has to get along with it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from pathlib import Path

from bundler.errors import DefaultsRefused
from bundler.plan import Plan
from bundler.program import program_environment, unpacked_program
from bundler.writing import write_hollow
from runtime.cli.options import REHEARSE

_SECONDS = 120
"""A program that has not answered by then does not work."""


def rehearse(plan: Plan) -> None:
    """Let the program for this machine read the defaults. Raises `DefaultsRefused`, `CacheError`, `OSError`."""
    here = f"{platform.system().lower()}-{platform.machine()}"
    runtime = next((runtime for runtime in plan.runtimes if runtime.about.platform == here), None)
    if runtime is None or (not plan.args.strip() and plan.chat_template is None):
        return
    with tempfile.TemporaryFile() as file:
        write_hollow(plan, file.fileno())
        _ask(unpacked_program(runtime), Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"))


def _ask(program: Path, bundle: Path) -> None:
    try:
        result = subprocess.run(
            [program, REHEARSE],
            env=program_environment(LOAF_BUNDLE=str(bundle)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise DefaultsRefused(f"nothing was heard of them within {_SECONDS} seconds") from error
    if result.returncode:
        raise DefaultsRefused(_said(result.stderr))


def _said(text: str) -> str:
    """What an error says, without what click writes around it."""
    lines = [line for line in text.strip().splitlines() if line and not line.startswith(("Usage:", "Try "))]
    return "\n".join(lines).removeprefix("error: ").removeprefix("Error: ")
