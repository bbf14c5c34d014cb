"""Makes the runtime that goes into every bundle, or finds it in the cache.

Knows the order of the steps, what the result depends on, and its description. Refuses to know how a step
is done.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bundler.freeze.c_library import FOLDER, add_c_library
from bundler.freeze.contents import Software, frozen_libraries, frozen_packages, versions_of
from bundler.freeze.core import EXECUTABLE, freeze
from bundler.freeze.licenses import collect_licenses
from bundler.freeze.pack import COMPRESSION, content_of, needed_glibc, pack, sha256_of, unpacked_size
from bundler.freeze.page import LICENSES, built_page, page_key, page_software
from bundler.freeze.platforms import Installed, Platform, all_platforms, this_platform
from bundler.paths import PAGE, PAGE_SOURCE, runtime_dir, templates_dir
from bundler.progress import Progress
from bundler.store.cache import cached, is_cached, key_of, log_file
from bundler.store.unpacking import unpacked

_ARCHIVE = "core.tar.gz"
_DESCRIPTION = "runtime.json"
_LICENSES = "licenses.txt"
_NEEDS_BYTES = 300_000_000  # the folder 48 MB, twice, the archive 20, and what PyInstaller works with


@dataclass(frozen=True, slots=True)
class FrozenRuntime:
    """A frozen runtime: the archive, and what a bundle's manifest says about it.

    `platform` is "linux-x86_64"; `archive` the tar.gz, of `size` bytes and hash `sha256`, which unpacks to
    `unpacked_size` bytes with the program `executable` at its top; `glibc` the oldest C library it runs
    with besides the one that it brings, "2.34"; `python` the frozen Python's version; `packages` what is frozen with
    it, and `libraries` what else; `licenses` a text with all of their licences.
    """

    platform: str
    archive: Path
    sha256: str
    size: int
    unpacked_size: int
    executable: str
    glibc: str
    python: str
    packages: tuple[Software, ...]
    libraries: tuple[Software, ...]
    licenses: Path


def freeze_runtime(progress: Progress, platform: Platform | None = None) -> FrozenRuntime:
    """The runtime for `platform`, None: this machine's. Takes minutes the first time, then milliseconds.

    Raises CacheError and FreezeError.
    """
    platform = platform or this_platform()
    wheel = platform.compiled_wheel(progress)
    key = runtime_key(platform, wheel)
    entry = cached("runtime", key, lambda folder: _make(folder, platform, wheel, progress), needs=_NEEDS_BYTES)
    return described(entry)


def frozen_runtimes(progress: Progress) -> tuple[FrozenRuntime, ...]:
    """The runtime for this machine, which is made where there is none, and those for others that have been made.

    Raises as `freeze_runtime` does.
    """
    others = (platform for platform in all_platforms() if platform.name != this_platform().name)
    return (freeze_runtime(progress), *(freeze_runtime(progress, other) for other in others if _is_made(other)))


def _is_made(platform: Platform) -> bool:
    wheel = platform.wheel_made()
    return wheel is not None and is_cached("runtime", runtime_key(platform, wheel))


def _make(folder: Path, platform: Platform, wheel: Path, progress: Progress) -> None:
    installed = platform.installed(wheel, progress)
    work, log = folder / "work", log_file(f"freeze-{platform.name}")
    log.unlink(missing_ok=True)
    work.mkdir()
    page = built_page(progress)
    core = freeze(installed.python(work, templates_dir()), page, work, log, progress)
    add_c_library(core, EXECUTABLE, installed.c_library)
    with progress.step("Packing the runtime", unpacked_size(core), "bytes") as advance:
        pack(core, folder / _ARCHIVE, advance)
    made = _describe(folder, core, platform, installed, page)
    shutil.rmtree(work)
    # Who freezes waits for minutes, and whoever asks the program something afterwards should not wait again.
    if platform.name == this_platform().name:
        unpacked(made.sha256, made.unpacked_size, made.archive.read_bytes)


def _describe(folder: Path, core: Path, platform: Platform, installed: Installed, page: Path | None) -> FrozenRuntime:
    archive, licenses = folder / _ARCHIVE, folder / _LICENSES
    versions, packages = versions_of(installed.python()), frozen_packages(installed.site_packages)
    of_page = "" if page is None else (page / LICENSES).read_text()
    licenses.write_text(collect_licenses(installed.site_packages, [package.name for package in packages], of_page))
    libraries = (*frozen_libraries(versions), *(() if page is None else page_software(page)))
    program = Program(platform.name, core, EXECUTABLE, versions.python, packages, libraries)
    return describe(folder, program, archive, licenses)


@dataclass(frozen=True, slots=True)
class Program:
    """What was frozen into the folder `core`: the program `executable` at its top, and as `FrozenRuntime` has it."""

    platform: str
    core: Path
    executable: str
    python: str
    packages: tuple[Software, ...]
    libraries: tuple[Software, ...]


def describe(folder: Path, program: Program, archive: Path, licenses: Path) -> FrozenRuntime:
    """Write down in `folder` what `described` reads of `program`, which is packed into `archive`."""
    description = FrozenRuntime(
        platform=program.platform,
        archive=archive,
        sha256=sha256_of(archive),
        size=archive.stat().st_size,
        unpacked_size=unpacked_size(program.core),
        executable=program.executable,
        glibc=needed_glibc(program.core, without=FOLDER),
        python=program.python,
        packages=program.packages,
        libraries=program.libraries,
        licenses=licenses,
    )
    content = asdict(description) | {"archive": archive.name, "licenses": licenses.name}
    (folder / _DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n")
    return description


def described(entry: Path) -> FrozenRuntime:
    """The frozen program in the cache's `entry`."""
    content = json.loads((entry / _DESCRIPTION).read_text())
    files = {name: entry / content[name] for name in ("archive", "licenses")}
    software = {name: tuple(Software(**one) for one in content[name]) for name in ("packages", "libraries")}
    return FrozenRuntime(**content | files | software)


def description_key() -> str:
    """Changes with what is written down."""
    return " ".join(field.name for field in fields(FrozenRuntime))


def runtime_key(platform: Platform, wheel: Path) -> str:
    """Changes with everything that is frozen or decides how. `wheel` lies in a folder named by its own key."""
    return key_of(
        environment=platform.key(wheel),
        runtime=content_of(runtime_dir(), without=(PAGE, PAGE_SOURCE)),
        page=page_key(),
        spec="".join((templates_dir() / name).read_text() for name in ("runtime.spec", "first.py", "patterns.py")),
        description=description_key(),
        compression=str(COMPRESSION),
    )
