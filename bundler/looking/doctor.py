"""`loaf doctor`: what this machine has for running and building bundles, and what to do where it lacks something.

Asks those who will need it, and changes nothing. Refuses to know what they need.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bundler.errors import FreezeError
from bundler.freeze.compiler import find_compiler
from bundler.freeze.environment import check_python
from bundler.freeze.llama import made_package
from bundler.freeze.pins import LLAMA, llama_version
from bundler.packs.pipeline import packs_made
from bundler.packs.recipes import RECIPES, Recipe
from bundler.paths import own_programs
from bundler.store.cache import build_cache
from bundler.text import human_size
from runtime import __version__
from runtime.bundle import BundleError, open_bundle
from runtime.explaining.machine import describe_cache, describe_devices, describe_machine
from runtime.explaining.report import Report
from runtime.explaining.sentences import sentences

NEEDED_BYTES = 1_500_000_000
"""Of the build cache's disk: what compiling takes, a program or a pack, and freezing after it."""

NEEDED_TO_UNPACK = 100_000_000
"""The same where programs are there: each is unpacked once."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence on something that building takes. `is_fatal`: without it, nothing can be built.

    `backend`: whose pack it is on, as `--backend` names it; `is_ready`: that can be had here.
    """

    sentence: str
    is_fatal: bool = False
    backend: str = ""
    is_ready: bool = True


def describe_this_machine() -> Iterator[str]:
    """What `--explain` says of it, whatever the bundle."""
    return sentences(Report(__version__, describe_machine(), describe_devices(), cache=describe_cache()))


def summary(found: Sequence[Finding]) -> str:
    """All of it in a sentence."""
    fatal = next((one for one in found if one.is_fatal), None)
    if fatal is not None:
        return f"Not ready to build. {fatal.sentence}"
    packs = [one for one in found if one.backend]
    ready = [one.backend for one in packs if one.is_ready]
    missing = [one.backend for one in packs if not one.is_ready]
    gpus = f" and for GPUs with {' and '.join(ready)}" if ready else ""
    rest = f"; what {' and '.join(missing)} would take is said below" if missing else ""
    return f"Ready to build for the processor{gpus}{rest}."


def findings() -> Iterator[Finding]:
    """One for each thing that building takes, or could use."""
    if (programs := own_programs()) is not None:
        yield _programs_in(programs)
        yield _build_cache("unpacking programs", NEEDED_TO_UNPACK)
        return
    yield _venv()
    yield _look_for(check_python, lambda _: f"Python {platform.python_version()} can be frozen.")
    yield _look_for(find_compiler, lambda found: f"The compiler is {found.cxx}: {found.version}.")
    yield _packages()
    yield _build_cache("compiling", NEEDED_BYTES)
    yield from (_pack(recipe) for recipe in RECIPES if recipe.is_of_this_system)


def _venv() -> Finding:
    if all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        return Finding(f"{sys.executable} has venv and pip, by which everything else is installed.")
    return Finding("Python has no venv module: install it (Debian, Ubuntu: apt install python3-venv).", is_fatal=True)


def _packages() -> Finding:
    if made_package(platform.machine()) is not None:
        return Finding(f"{LLAMA} {llama_version()} has been compiled already.")
    return Finding(
        f"{LLAMA} {llama_version()} will be compiled once: pip fetches it, CMake and Ninja from the network."
    )


def _programs_in(path: Path) -> Finding:
    """What is taken instead of being made."""
    try:
        manifest = open_bundle(path).manifest
    except (BundleError, OSError) as error:
        return Finding(f"The programs that bundles are built with cannot be read: {error}.", is_fatal=True)
    platforms = ", ".join(runtime.platform for runtime in manifest.runtimes)
    packs = ", ".join(pack.backend for pack in manifest.packs) or "none"
    return Finding(
        f"Nothing is compiled: programs for {platforms} are there already, of loaf {manifest.loaf}; packs: {packs}."
    )


def _build_cache(what: str, needed: int) -> Finding:
    folder = build_cache()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(f"The build cache {folder} cannot be written: name another in LOAF_BUILD_CACHE.", is_fatal=True)
    free = shutil.disk_usage(there).free
    if free < needed:
        return Finding(
            f"The build cache {folder} has {human_size(free)} free, and {what} takes up to "
            f"{human_size(needed)}: make room, or name another in LOAF_BUILD_CACHE."
        )
    return Finding(f"The build cache is {folder}, where {human_size(free)} are free.")


def _pack(recipe: Recipe) -> Finding:
    if any(pack.backend == recipe.backend for pack in packs_made()):
        return Finding(f"The {recipe.backend} pack has been compiled already.", backend=recipe.backend)
    untested = "" if recipe.tested else ", though what that makes has never been run"
    found = _look_for(
        recipe.find_toolchain,
        lambda toolchain: f"The {recipe.backend} pack can be compiled with {toolchain.version}{untested}.",
    )
    return Finding(found.sentence, backend=recipe.backend, is_ready=not found.is_fatal)  # bundles can be built without


def _look_for(find: Callable[[], Found], sentence: Callable[[Found], str]) -> Finding:
    try:
        return Finding(sentence(find()))
    except FreezeError as error:
        return Finding(f"{error.message[:1].upper()}{error.message[1:]}: {error.hint}.", is_fatal=True)
