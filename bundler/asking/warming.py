"""Lets a bundle compute the state of a text that its prompts begin with.

Knows that this takes the bundle itself, weights and all. Refuses to know how a state is computed
(`runtime/models/warming.py`) and where it comes to lie (`bundler/file/`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from bundler.asking.rehearsal import ask, path_of, runtime_for_here
from bundler.errors import DefaultsRefused
from bundler.file.content import FileRange
from bundler.file.layout import lay_out
from bundler.file.plan import LIBRARY, Plan, PlannedPart, PlannedRuntime, PlannedWarmth
from bundler.file.stored import stored_entries
from bundler.file.writing import write_file
from bundler.progress import Progress
from bundler.store.cache import build_cache
from runtime.bundle import Warm, open_bundle
from runtime.cli.options import WARM_UP


def write_warm(plan: Plan, fd: int, text: str, progress: Progress) -> int:
    """Write what `plan` says once more into `fd`, which holds it, and with it the state of `text`; returns its size.

    Raises as `computed` does.
    """
    path = path_of(fd)
    kept = stored_entries(open_bundle(path))[: len(plan.weights)]
    with computed(plan, path, text, progress) as warmth:
        layout = lay_out(replace(plan, warmth=warmth), kept)
        with progress.step("Writing what it comes to", warmth.state.size, "bytes") as advance:
            write_file(layout, fd, advance)
    return layout.size


@contextmanager
def computed(plan: Plan, bundle: Path, text: str, progress: Progress) -> Iterator[PlannedWarmth]:
    """The state of `text`, computed by the program in `bundle`, which holds what `plan` says. Gone after the block.

    Raises `DefaultsRefused`, `CacheError`, `OSError`.
    """
    runtime = runtime_for_here(plan.runtimes)
    if runtime is None:
        raise DefaultsRefused("--warm: the file has no program for this machine, which would compute it")
    with tempfile.TemporaryDirectory(prefix="warm-", dir=build_cache()) as folder:
        prompt, state = Path(folder, "text"), Path(folder, "state")
        prompt.write_text(text, "utf-8")
        with progress.step("Computing the text of --warm", None, "steps"):
            about = msgspec.json.decode(ask(runtime, bundle, WARM_UP, prompt, state), type=Warm)
        yield PlannedWarmth(about, PlannedPart(about.entry, (FileRange(state, 0, state.stat().st_size),)))


def is_of(runtime: PlannedRuntime, warmth: PlannedWarmth) -> bool:
    """Whether `runtime` can go on from it."""
    versions = {package.name: package.version for package in runtime.about.packages}
    return versions.get(LIBRARY) == warmth.about.library
