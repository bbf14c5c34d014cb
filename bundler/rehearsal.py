"""Asks a bundle that has just been written, and has no name yet, whether it understands what is baked into it.

Knows how to run the program of a bundle without the launcher. Refuses to know what can be wrong: the program itself
says so (`runtime/cli/rehearsal.py`), since it is the one that has to get along with it.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

from bundler.cache import cached
from bundler.errors import DefaultsRefused
from bundler.freeze import FrozenRuntime
from bundler.plan import Plan
from runtime.cli.options import REHEARSE

_SECONDS = 120
"""A program that has not answered by then does not work."""


def rehearse(runtime: FrozenRuntime, plan: Plan, fd: int) -> None:
    """Let the bundle in the open file `fd` read its defaults. Raises `DefaultsRefused`, `CacheError`, `OSError`."""
    if not plan.args.strip() and plan.chat_template is None:
        return
    try:
        result = subprocess.run(
            [_program(runtime), REHEARSE],
            env=_environment(f"/proc/{os.getpid()}/fd/{fd}"),
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


def _program(runtime: FrozenRuntime) -> Path:
    """The frozen program, unpacked once for each runtime."""

    def unpack(folder: Path) -> None:
        with tarfile.open(runtime.archive) as archive:
            archive.extractall(folder)

    folder = cached("program", runtime.sha256[:16], unpack, needs=runtime.unpacked_size)
    return folder / runtime.executable


def _environment(bundle: str) -> dict[str, str]:
    """Without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, "LOAF_BUNDLE": bundle}


def _said(text: str) -> str:
    """What an error says, without what click writes around it."""
    lines = [line for line in text.strip().splitlines() if line and not line.startswith(("Usage:", "Try "))]
    return "\n".join(lines).removeprefix("error: ").removeprefix("Error: ")
