"""Freezes the `loaf` command itself, with a Python and all packages of its own: the program of `dist/loaf`.

It is a part of its own beside the runtime, so that bundles hold nothing which only builders need. Knows the order of
the steps and what the result depends on. Refuses to know how a step is done, and what lies beside it in the file.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from bundler.freeze.c_library import add_c_library
from bundler.freeze.contents import frozen_packages, python_libraries, versions_of
from bundler.freeze.core import run_pyinstaller
from bundler.freeze.licenses import collect_licenses
from bundler.freeze.pack import COMPRESSION, content_of, pack, unpacked_size
from bundler.freeze.pins import BUILDER
from bundler.freeze.pipeline import FrozenRuntime, Program, describe, described, description_key
from bundler.freeze.platforms import Platform
from bundler.paths import PAGE, PAGE_SOURCE, PROGRAMS, bundler_dir, runtime_dir, templates_dir
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file

EXECUTABLE = "loaf"
"""The program's name in the folder; templates/builder.spec says it too."""

_SPEC = "builder.spec"
_NEEDS_BYTES = 200_000_000  # the folder 40 MB, twice, the archive 13, and what PyInstaller works with


def freeze_builder(platform: Platform, progress: Progress) -> FrozenRuntime:
    """The command for `platform`. Takes a minute the first time, several where that is emulated, then milliseconds.

    Raises `CacheError` and `FreezeError`.
    """
    make = partial(_make, platform=platform, progress=progress)
    return described(cached("builder", _key(platform), make, needs=_NEEDS_BYTES))


def _make(folder: Path, platform: Platform, progress: Progress) -> None:
    installed = platform.installed(BUILDER, progress)
    work, log = folder / "work", log_file(f"builder-{platform.name}")
    log.unlink(missing_ok=True)
    work.mkdir()
    python = installed.python(work, templates_dir())
    core = run_pyinstaller(python, _SPEC, _sources(work), work, log, progress)
    add_c_library(core, EXECUTABLE, installed.c_library)
    with progress.step("Packing the builder", unpacked_size(core), "bytes") as advance:
        pack(core, folder / "builder.tar.gz", advance)
    packages = frozen_packages(installed.packages, "builder")
    licenses = folder / "licenses.txt"
    licenses.write_text(collect_licenses(installed.packages, [package.name for package in packages], ""))
    versions = versions_of(installed.python())
    program = Program(platform.name, core, EXECUTABLE, versions.python, packages, python_libraries(versions))
    describe(folder, program, folder / "builder.tar.gz", licenses)
    shutil.rmtree(work)


def _sources(work: Path) -> Path:
    """A folder with the two packages as a wheel has them, and nothing beside them that would be frozen by accident."""
    source = work / "source"
    left_out = {runtime_dir() / PAGE, runtime_dir() / PAGE_SOURCE, bundler_dir() / PROGRAMS, templates_dir()}

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or Path(folder, name) in left_out]

    for package in (bundler_dir(), runtime_dir()):
        shutil.copytree(package, source / package.name, ignore=ignored)
    shutil.copytree(templates_dir(), source / "bundler" / "templates")
    return source


def _key(platform: Platform) -> str:
    return key_of(
        environment=platform.key(BUILDER),
        bundler=content_of(bundler_dir(), without=(PROGRAMS,)),
        runtime=content_of(runtime_dir(), without=(PAGE, PAGE_SOURCE)),
        templates=content_of(templates_dir()),
        description=description_key(),
        compression=str(COMPRESSION),
    )
