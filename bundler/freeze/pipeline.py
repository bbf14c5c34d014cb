"""Makes the runtime that goes into every bundle, or finds it in the cache.

Knows the order of the steps, what the result depends on, and its description. Refuses to know how a step
is done.
"""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bundler.freeze.c_library import FOLDER, add_c_library, c_library_key
from bundler.freeze.contents import Software, frozen_libraries, frozen_packages
from bundler.freeze.core import EXECUTABLE, freeze
from bundler.freeze.environment import environment_key, freezing_environment, site_packages_of
from bundler.freeze.licenses import collect_licenses
from bundler.freeze.pack import COMPRESSION, content_of, needed_glibc, pack, sha256_of, unpacked_size
from bundler.freeze.page import LICENSES, built_page, page_key, page_software
from bundler.freeze.wheel import compiled_wheel
from bundler.paths import PAGE, PAGE_SOURCE, runtime_dir, templates_dir
from bundler.progress import Progress
from bundler.store.cache import cached, key_of, log_file
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


def freeze_runtime(progress: Progress) -> FrozenRuntime:
    """The runtime for this machine's kind of system. Takes minutes the first time, then milliseconds.

    Raises CacheError and FreezeError.
    """
    wheel = compiled_wheel(progress)
    entry = cached("runtime", runtime_key(wheel), lambda folder: _make(folder, wheel, progress), needs=_NEEDS_BYTES)
    return described(entry)


def _make(folder: Path, wheel: Path, progress: Progress) -> None:
    python = freezing_environment(wheel, progress)
    work, log = folder / "work", log_file("freeze")
    log.unlink(missing_ok=True)
    work.mkdir()
    page = built_page(progress)
    core = freeze(python, page, work, log, progress)
    add_c_library(core, EXECUTABLE)
    with progress.step("Packing the runtime", unpacked_size(core), "bytes") as advance:
        pack(core, folder / _ARCHIVE, advance)
    made = _describe(folder, core, python, page)
    shutil.rmtree(work)
    # Who freezes waits for minutes, and whoever asks the program something afterwards should not wait again.
    unpacked(made.sha256, made.unpacked_size, made.archive.read_bytes)


def _describe(folder: Path, core: Path, python: Path, page: Path | None) -> FrozenRuntime:
    archive, licenses = folder / _ARCHIVE, folder / _LICENSES
    packages = frozen_packages(site_packages_of(python))
    of_page = "" if page is None else (page / LICENSES).read_text()
    licenses.write_text(collect_licenses(site_packages_of(python), [package.name for package in packages], of_page))
    libraries = (*frozen_libraries(), *(() if page is None else page_software(page)))
    return describe(folder, core, EXECUTABLE, archive, packages, libraries, licenses)


def describe(
    folder: Path,
    core: Path,
    executable: str,
    archive: Path,
    packages: tuple[Software, ...],
    libraries: tuple[Software, ...],
    licenses: Path,
) -> FrozenRuntime:
    """Write down in `folder` what `described` reads of the program `executable`, frozen into `core` and packed."""
    description = FrozenRuntime(
        platform=f"{platform.system().lower()}-{platform.machine()}",
        archive=archive,
        sha256=sha256_of(archive),
        size=archive.stat().st_size,
        unpacked_size=unpacked_size(core),
        executable=executable,
        glibc=needed_glibc(core, without=FOLDER),
        python=platform.python_version(),
        packages=packages,
        libraries=libraries,
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


def runtime_key(wheel: Path) -> str:
    """Changes with everything that is frozen or decides how."""
    return key_of(
        environment=environment_key(wheel),
        runtime=content_of(runtime_dir(), without=(PAGE, PAGE_SOURCE)),
        page=page_key(),
        c_library=c_library_key(),
        spec=(templates_dir() / "runtime.spec").read_text(),
        description=description_key(),
        compression=str(COMPRESSION),
    )
