"""Makes a pack, or finds it in the cache: compiled, packed, described.

Knows the order of the steps, what the result depends on, and its description. Refuses to know what a backend needs
(`recipes.py`, `toolchains.py`).

A pack's library is loaded into the frozen runtime, beside the `libggml-base` there. So it is compiled from the same
sources with the same compiler, and its key holds that of the libraries.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bundler.freeze.compiler import Compiler, find_compiler
from bundler.freeze.libraries import libraries_key
from bundler.freeze.pack import pack, sha256_of, unpacked_size
from bundler.packs.compiling import compile_library, needed_libraries
from bundler.packs.recipes import Recipe
from bundler.packs.toolchains import Toolchain
from bundler.progress import Progress
from bundler.store.cache import build_cache, cached, key_of, log_file
from runtime.bundle import Backend

_DESCRIPTION = "pack.json"
_NEEDS_BYTES = 1_500_000_000  # sources 217 MB, tools 117, the rest objects: measured for Vulkan
_KEPT = 32  # a few MB each, and minutes to make again


@dataclass(frozen=True, slots=True)
class BackendPack:
    """A compiled backend: the archive, and what a bundle's manifest says about it.

    `archive` is a tar.gz of `size` bytes which unpacks to `unpacked_size` bytes: the library `library`. `needs` are
    the libraries that a machine must have to load it, `made_with` is the toolchain, `fits` the key of the
    libraries in the runtime that it belongs to.
    """

    backend: Backend
    platform: str
    archive: Path
    size: int
    sha256: str
    unpacked_size: int
    library: str
    needs: tuple[str, ...]
    made_with: str
    fits: str


def compiled_pack(recipe: Recipe, progress: Progress) -> BackendPack:
    """The pack of `recipe`; compiled when the cache has none.

    Raises CompilerMissing, ToolchainMissing, PackagesUnreachable, StepFailed, PythonUnsuitable and CacheError.
    """
    compiler, toolchain = find_compiler(), recipe.find_toolchain()
    key = _key(compiler, toolchain, recipe)

    def make(folder: Path) -> None:
        _make(folder, recipe, compiler, toolchain, progress)

    return _described(cached("pack", key, make, needs=_NEEDS_BYTES, keep=_KEPT))


def packs_made() -> Iterator[BackendPack]:
    """All packs in the cache, whatever they were made for."""
    for description in sorted((build_cache() / "pack").glob(f"*/{_DESCRIPTION}")):
        if not description.parent.name.endswith(".partial"):
            yield _described(description.parent)


def _key(compiler: Compiler, toolchain: Toolchain, recipe: Recipe) -> str:
    return key_of(
        libraries=libraries_key(compiler),
        toolchain=toolchain.version,
        flags=" ".join(recipe.flags),
        description=" ".join(field.name for field in fields(BackendPack)),
    )


def _make(folder: Path, recipe: Recipe, compiler: Compiler, toolchain: Toolchain, progress: Progress) -> None:
    work, log = folder / "work", log_file(f"pack-{recipe.backend}")
    log.unlink(missing_ok=True)
    cores = len(os.sched_getaffinity(0))
    minutes = f": about {max(1, round(recipe.cpu_minutes / cores))} min on {cores} cores" if recipe.cpu_minutes else ""
    progress.say(f"Compiling the {recipe.title} backend, once on this machine{minutes}.")
    library = compile_library(recipe, (*recipe.flags, *toolchain.flags), compiler, work, log, progress)
    content = work / "pack"
    content.mkdir()
    shutil.move(library, content / library.name)
    archive = folder / f"{recipe.backend}.tar.gz"
    with progress.step(f"Packing the {recipe.title} backend", unpacked_size(content), "bytes") as advance:
        pack(content, archive, advance)
    _describe(folder, recipe, archive, content / library.name, toolchain, compiler)
    shutil.rmtree(work)


def _describe(
    folder: Path, recipe: Recipe, archive: Path, library: Path, toolchain: Toolchain, compiler: Compiler
) -> None:
    description = BackendPack(
        backend=recipe.backend,
        platform=f"{platform.system().lower()}-{platform.machine()}",
        archive=archive,
        size=archive.stat().st_size,
        sha256=sha256_of(archive),
        unpacked_size=library.stat().st_size,
        library=library.name,
        needs=needed_libraries(library),
        made_with=toolchain.version,
        fits=libraries_key(compiler),
    )
    content = asdict(description) | {"archive": archive.name}
    (folder / _DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n")


def _described(entry: Path) -> BackendPack:
    content = json.loads((entry / _DESCRIPTION).read_text())
    return BackendPack(**content | {"archive": entry / content["archive"], "needs": tuple(content["needs"])})
