"""Makes the runtime that goes into every bundle, or finds it in the cache.

Knows the order of the steps, what the result depends on, and its description. Refuses to know how a step
is done.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from bundler.freeze.at_once import at_once, one_line
from bundler.freeze.c_library import FOLDER, add_c_library
from bundler.freeze.contents import Software, frozen_libraries, frozen_packages, versions_of
from bundler.freeze.core import EXECUTABLE, freeze
from bundler.freeze.licenses import collect_licenses
from bundler.freeze.llama import variants_in
from bundler.freeze.pack import COMPRESSION, content_of, needed_glibc, pack, sha256_of, unpacked_size
from bundler.freeze.page import LICENSES, built_page, page_key, page_software
from bundler.freeze.pins import RUNTIME
from bundler.freeze.platforms import Installed, Platform, all_platforms, this_platform
from bundler.paths import PAGE, PAGE_SOURCE, runtime_dir, templates_dir
from bundler.progress import Progress
from bundler.store.cache import build_cache, cached, is_cached, key_of, log_file
from bundler.store.unpacking import unpacked

_ARCHIVE = "core.tar.gz"
_DESCRIPTION = "runtime.json"
_LICENSES = "licenses.txt"
_PHASES = (
    {"Compiling llama.cpp": 300.0, "Installing what is frozen": 10.0, "Building the page": 5.0},
    {"Freezing the runtime": 40.0},
    {"Packing the runtime": 10.0},
)
"""About how many seconds of a processor what is shown takes: what is in one phase is done at once."""

_NEEDS_BYTES = 300_000_000  # the folder 48 MB, twice, the archive 20, and what PyInstaller works with


@dataclass(frozen=True, slots=True)
class FrozenRuntime:
    """A frozen runtime: the archive, and what a bundle's manifest says about it.

    `platform` is "linux-x86_64"; `archive` the tar.gz, of `size` bytes and hash `sha256`, which unpacks to
    `unpacked_size` bytes with the program `executable` at its top; `glibc` the oldest C library it runs
    with besides the one that it brings, "2.34"; `python` the frozen Python's version; `packages` what is frozen with
    it, and `libraries` what else; `licenses` a text with all of their licences; `variants` ggml's for processors.
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
    variants: tuple[str, ...] = ()


def freeze_runtime(progress: Progress, platform: Platform | None = None, *, complete: bool = False) -> FrozenRuntime:
    """The runtime for `platform`, None: this machine's. Takes minutes the first time, then milliseconds.

    `complete`: with all variants for processors, not only those that matter here. Raises CacheError and FreezeError.
    """
    platform = platform or this_platform()
    made = made_runtime(platform, complete=complete)
    return made or _make_it(platform, complete, progress)


def _make_it(platform: Platform, complete: bool, progress: Progress) -> FrozenRuntime:
    llama: list[Path] = []
    with one_line(f"Making the program for {platform.name}", _PHASES, progress) as shown:
        at_once(
            lambda: llama.append(platform.compiled_package(shown, complete=complete)),
            lambda: platform.install(RUNTIME, shown),
            lambda: built_page(shown),
        )
        key = runtime_key(platform, *llama)
        make = partial(_make, platform=platform, llama=llama[0], progress=shown)
        return described(cached("runtime", key, make, needs=_NEEDS_BYTES))


def frozen_runtimes(progress: Progress, *, complete: bool = False) -> tuple[FrozenRuntime, ...]:
    """The runtime for this machine, which is made where there is none, and those for others that have been made.

    One for another that is of other sources than these is left out, and that is said; where all are to be `complete`,
    it is made again. Raises as `freeze_runtime` does.
    """
    own, *others = all_platforms()
    found = [freeze_runtime(progress, own, complete=complete)]
    for other in others:
        runtime, is_compiled = made_runtime(other), other.package_made() is not None
        if is_compiled and complete:
            found.append(freeze_runtime(progress, other, complete=True))
        elif runtime is not None:
            found.append(runtime)
        elif is_compiled:
            progress.say(
                f"No program for {other.name}: it has not been frozen for this loaf yet "
                f"(loaf runtime freeze --platform {other.name})."
            )
    return tuple(found)


def made_runtime(platform: Platform, *, complete: bool = False) -> FrozenRuntime | None:
    """The runtime for `platform` if it has been made, as `freeze_runtime` makes it; else None."""
    llama = platform.package_made(complete=complete)
    if llama is None or not is_cached("runtime", key := runtime_key(platform, llama)):
        return None
    return described(build_cache() / "runtime" / key)


def _make(folder: Path, platform: Platform, llama: Path, progress: Progress) -> None:
    installed = platform.installed(RUNTIME, progress, llama)
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
    versions, packages = versions_of(installed.python()), frozen_packages(installed.packages)
    of_page = "" if page is None else (page / LICENSES).read_text()
    licenses.write_text(collect_licenses(installed.packages, [package.name for package in packages], of_page))
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
        variants=variants_in(program.core),
    )
    content = asdict(description) | {"archive": archive.name, "licenses": licenses.name}
    (folder / _DESCRIPTION).write_text(json.dumps(content, indent=2) + "\n")
    return description


def described(entry: Path) -> FrozenRuntime:
    """The frozen program in the cache's `entry`."""
    content = json.loads((entry / _DESCRIPTION).read_text())
    files = {name: entry / content[name] for name in ("archive", "licenses")}
    software = {name: tuple(Software(**one) for one in content[name]) for name in ("packages", "libraries")}
    return FrozenRuntime(**content | files | software | {"variants": tuple(content["variants"])})


def description_key() -> str:
    """Changes with what is written down."""
    return " ".join(field.name for field in fields(FrozenRuntime))


def runtime_key(platform: Platform, llama: Path) -> str:
    """Changes with everything that is frozen or decides how. `llama` is a folder named by its own key."""
    return key_of(
        environment=platform.key(RUNTIME),
        llama=llama.name,
        runtime=content_of(runtime_dir(), without=(PAGE, PAGE_SOURCE)),
        page=page_key(),
        spec="".join((templates_dir() / name).read_text() for name in ("runtime.spec", "first.py", "patterns.py")),
        description=description_key(),
        compression=str(COMPRESSION),
    )
