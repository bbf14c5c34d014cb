"""CMake, and Ninja under it, over sources that lie in a work folder, shown as they go.

Knows how both are called and what becomes of their complaints. Refuses to know any project's flags and targets.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import StepFailed
from bundler.freeze.compiler import Compiler, compile_environment
from bundler.freeze.ninja import NinjaProgress
from bundler.freeze.packages import complaints
from bundler.freeze.process import CommandFailed, run
from bundler.progress import Progress
from bundler.store.cache import log_file


@dataclass(frozen=True, slots=True)
class Project:
    """`title` for people: "llama.cpp"; `source` with its CMakeLists.txt; how it is configured; what is made of it."""

    title: str
    source: Path
    flags: tuple[str, ...]
    targets: tuple[str, ...]


def build(project: Project, folder: Path, compiler: Compiler, log: Path, progress: Progress) -> None:
    """Makes the targets of `project` in `folder`, which lies beside the tools. Raises StepFailed."""
    env = compile_environment(folder.parent, compiler, len(os.sched_getaffinity(0)))
    try:
        with progress.step(f"Configuring {project.title}", None, "steps"):
            run(["cmake", "-S", project.source, "-B", folder, *project.flags], log=log, env=env)
        with ExitStack() as bars:
            bar = NinjaProgress(f"Compiling {project.title}", progress, bars)
            run(["cmake", "--build", folder, "--target", *project.targets], log=log, env=env, on_line=bar)
    except CommandFailed as error:
        raise StepFailed(f"compiling {project.title}", complaints(error.tail), log) from error


def compile_log(name: str, machine: str) -> Path:
    """Where the log of what is made for `machine` lies; its name says the machine where that is not this one."""
    return log_file(name if machine == platform.machine() else f"{name}-{machine}")


def crossing(machine: str) -> Sequence[str]:
    """The flags with which something is made for `machine`, where that is not this one."""
    if machine == platform.machine():
        return ()
    return ("-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={machine}")
