"""Asks a program whether it understands what is to be baked into its bundle, before there is such a bundle.

Knows how to run the program of a bundle without the launcher, and without the weights. Refuses to know what can be
wrong: the program itself says so (`runtime/cli/rehearsal.py`), since it is the one that has to get along with it.
"""

from __future__ import annotations

import io
import os
import platform
import subprocess
import tarfile
import tempfile
from pathlib import Path

from bundler.cache import cached
from bundler.copying import read
from bundler.errors import DefaultsRefused
from bundler.plan import Plan, PlannedRuntime
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
        _ask(_program(runtime), Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"))


def _ask(program: Path, bundle: Path) -> None:
    try:
        result = subprocess.run(
            [program, REHEARSE],
            env=_environment(bundle),
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


def _program(runtime: PlannedRuntime) -> Path:
    """The frozen program, unpacked once for each runtime."""

    def unpack(folder: Path) -> None:
        packed = b"".join(read(runtime.core.content))
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            archive.extractall(folder)

    sha256 = runtime.core.sha256
    assert sha256 is not None, "programs come with their digest"
    folder = cached("program", sha256[:16], unpack, needs=runtime.about.unpacked_size)
    return folder / runtime.about.program


def _environment(bundle: Path) -> dict[str, str]:
    """Without what would steer the program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOAF_", "LLAMA_"))}
    return {**kept, "LOAF_BUNDLE": str(bundle)}


def _said(text: str) -> str:
    """What an error says, without what click writes around it."""
    lines = [line for line in text.strip().splitlines() if line and not line.startswith(("Usage:", "Try "))]
    return "\n".join(lines).removeprefix("error: ").removeprefix("Error: ")
