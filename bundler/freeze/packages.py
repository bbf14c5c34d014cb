"""Installs packages from the Python package index into an environment that is ours.

Knows pip and what it says when there is no network. Refuses to know which packages and what for.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bundler.errors import PackagesUnreachable, PythonUnsuitable, StepFailed
from bundler.freeze.process import CommandFailed, clean_environment, ignore, run
from bundler.progress import Progress

_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectionError|Connection(Reset|Refused)|ConnectTimeout|ReadTimeout|timed out"
    r"|name resolution|Name or service not known|Network is unreachable|Max retries exceeded|ProxyError",
)
_COMPLAINT = re.compile(r"\b(fatal )?error\b|[A-Z]\w*Error: |FAILED", re.IGNORECASE)
_COMPLAINTS_SHOWN = 5


def new_environment(folder: Path, log: Path, *, with_pip: bool = False) -> Path:
    """Makes a virtual environment in `folder`, from the Python that runs this; returns its interpreter.

    It has a pip of its own only `with_pip`, or where this Python has none for it (`pip_for`): one takes seven seconds.
    Raises PythonUnsuitable when that Python comes without venv or ensurepip (Debian packs them apart).
    """
    without = [] if with_pip or not _can_lend_pip() else ["--without-pip"]
    try:
        run([sys.executable, "-m", "venv", *without, folder], log=log, env=clean_environment())
    except CommandFailed as error:
        raise PythonUnsuitable(
            sys.executable, "venv module", "install it (Debian, Ubuntu: apt install python3-venv)"
        ) from error
    return folder / "bin" / "python"


def pip_for(python: Path) -> list[str | Path]:
    """The command that installs where `python` belongs: this Python's pip if it can, else its own."""
    about_pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    if _can_lend_pip():
        return [sys.executable, *about_pip, "--python", python]
    return [python, *about_pip]


def _can_lend_pip() -> bool:
    """Since version 22.3 pip installs for other interpreters."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    major, minor = (int(number) for number in (*version.split("."), "0")[:2])
    return (major, minor) >= (22, 3)


def install(
    python: Path,
    requirements: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    progress: Progress,
) -> None:
    """Installs exactly `requirements`, and nothing that they ask for in turn, where `python` belongs.

    Nothing is compiled to bytecode: what is never imported needs none. `what` names them in a sentence: "the build
    tools". Raises PackagesUnreachable and StepFailed.
    """
    with progress.step(f"Installing {what}", len(requirements), "steps") as advance:
        pip(
            python,
            ["install", "--no-deps", "--no-compile", *requirements],
            step=f"installing {what}",
            wanted=what,
            log=log,
            on_line=lambda line: advance(line.startswith(("Collecting", "Processing", "Requirement"))),
        )


def pip(
    python: Path,
    arguments: Sequence[str | Path],
    *,
    step: str,
    wanted: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], object] = ignore,
) -> None:
    """Runs the pip of `python`. `step` and `wanted` name in an error what was done and what was fetched.

    Raises PackagesUnreachable and StepFailed.
    """
    command = [*pip_for(python), "--retries", "3", *arguments]
    try:
        run(command, log=log, env=env or clean_environment(), on_line=on_line)
    except CommandFailed as error:
        if any(_NO_NETWORK.search(line) for line in error.tail):
            raise PackagesUnreachable(wanted) from error
        raise StepFailed(step, complaints(error.tail), log) from error


def complaints(tail: Iterable[str]) -> str:
    """The few lines of a command's output that say what went wrong; the last ones when none does."""
    lines = [line.strip() for line in tail if line.strip()]
    telling = [line for line in lines if _COMPLAINT.search(line)]
    return "\n".join(telling[:_COMPLAINTS_SHOWN] or lines[-_COMPLAINTS_SHOWN:])
