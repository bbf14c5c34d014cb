"""What pictures and sounds need, as a pack beside the core: libmtmd, Pillow with its decoders, and libsndfile.

Only bundles with a projector have it, so that others are not larger for it. Knows which of Pillow's modules the runtime
imports, by importing them, which libraries these ask for, and where `soundfile` has its own. Refuses to know how it is
unpacked (`runtime/backends/unpacking.py`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bundler.freeze.contents import Software, frozen_packages
from bundler.freeze.licenses import package_licenses
from bundler.freeze.pack import COMPRESSION, pack, sha256_of, unpacked_size
from bundler.freeze.pins import RUNTIME, pins
from bundler.freeze.platforms import Platform, this_platform
from bundler.freeze.process import clean_environment
from bundler.progress import Progress
from bundler.store.cache import cached, key_of

ARCHIVE = "media.tar.gz"
LICENSES = "media-licenses.txt"
_DESCRIPTION = "media.json"
_NEEDS_BYTES = 60_000_000  # measured: 22 MB unpacked, 7 packed

LIBRARY = "libmtmd.so"
"""As `llama_cpp.mtmd_cpp` looks for it."""

_PLUGINS = ("Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP")
"""Of the formats that `runtime/media/decoding.py` reads; phones write JPEGs of several pictures, which are MPO."""

_LIST = f"""
import fractions, sys
from PIL import Image, ImageOps
import {", ".join(f"PIL.{name}ImagePlugin" for name in _PLUGINS)}
for name, module in list(sys.modules.items()):
    if name.split(".")[0] in ("PIL", "fractions") and getattr(module, "__file__", None):
        print(module.__file__)
"""
"""`fractions` is Python's own, which Pillow imports and the core does without."""

_SOUNDS = "_soundfile_data"
"""Of the package `soundfile` its library, and none of its modules."""

_LICENSE = "COPYING"

_VECTOR_MATH = "libmvec.so.1"
"""A part of glibc that libsndfile asks for on x86-64, and the core does without (`c_library.py`)."""

_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


@dataclass(frozen=True, slots=True)
class FrozenMedia:
    """The pack for the runtime of `platform`: `archive` is a tar.gz of `size` bytes and hash `sha256`, which unpacks to
    `unpacked_size` bytes.

    `packages` are in it; `licenses` is a text with theirs.
    """

    platform: str
    archive: Path
    sha256: str
    size: int
    unpacked_size: int
    packages: tuple[Software, ...]
    licenses: Path


def freeze_media(progress: Progress, platform: Platform | None = None) -> FrozenMedia:
    """The pack for `platform`, None: this machine's. Raises CacheError and FreezeError."""
    platform = platform or this_platform()
    mtmd = platform.compiled_mtmd(progress)
    key = key_of(environment=platform.key(RUNTIME), mtmd=mtmd.name, modules=_LIST, compression=str(COMPRESSION))
    return _described(cached("media", key, lambda entry: _make(entry, platform, mtmd, progress), needs=_NEEDS_BYTES))


def _make(entry: Path, platform: Platform, mtmd: Path, progress: Progress) -> None:
    installed = platform.installed(RUNTIME, progress, platform.compiled_package(progress))
    folder, site_packages = entry / "media", installed.packages[0]
    folder.mkdir()
    python = installed.python(entry)
    for file in _modules(python):
        target = folder / file.name if file.parent.name != "PIL" else folder / "PIL" / file.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(file, target)
    for library in _libraries(folder / "PIL", site_packages / "pillow.libs"):
        target = folder / "pillow.libs" / library.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(library, target)
    shutil.copy(mtmd / LIBRARY, folder / LIBRARY)
    shutil.copytree(site_packages / _SOUNDS, folder / _SOUNDS, ignore=shutil.ignore_patterns("__pycache__", _LICENSE))
    if any(_VECTOR_MATH in _needed(library) for library in (folder / _SOUNDS).glob("*.so")):
        shutil.copy(installed.c_library.folder / _VECTOR_MATH, folder / _SOUNDS / _VECTOR_MATH)
    _compile(python, folder)
    with progress.step("Packing what pictures and sounds need", unpacked_size(folder), "bytes") as advance:
        pack(folder, entry / ARCHIVE, advance)
    named = {pin.partition("==")[0] for pin in pins("media")}
    packages = tuple(one for one in frozen_packages((site_packages,), "media") if one.name in named)
    licenses = package_licenses((site_packages,), [one.name for one in packages])
    (entry / LICENSES).write_text(f"{licenses}\n{_licenses_of_libsndfile(site_packages)}")
    content = {"unpacked_size": unpacked_size(folder), "packages": [asdict(one) for one in packages]}
    (entry / _DESCRIPTION).write_text(json.dumps({"platform": platform.name, **content}, indent=2) + "\n")
    shutil.rmtree(folder)


def _licenses_of_libsndfile(site_packages: Path) -> str:
    """And of the decoders that are linked into it: the package says which these are, and where their sources are."""
    library = "libsndfile (unchanged; another may be put in its place, where the pack is unpacked)"
    texts = (site_packages / "licensing" / "license_notes.md", site_packages / _SOUNDS / _LICENSE)
    return "\n".join([library, *(text.read_text(encoding="utf-8", errors="replace") for text in texts)])


def _described(entry: Path) -> FrozenMedia:
    content, archive = json.loads((entry / _DESCRIPTION).read_text()), entry / ARCHIVE
    packages = tuple(Software(**one) for one in content.pop("packages"))
    size, sha256 = archive.stat().st_size, sha256_of(archive)
    return FrozenMedia(
        **content, archive=archive, sha256=sha256, size=size, packages=packages, licenses=entry / LICENSES
    )


def _modules(python: Sequence[str | Path]) -> Iterator[Path]:
    command = [*map(str, python), "-c", _LIST]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=clean_environment(), check=True)
    yield from map(Path, sorted(told.stdout.split()))


def _libraries(modules: Path, there: Path) -> set[Path]:
    """Those of the folder `there` that the extensions in `modules` need, and what these need."""
    found: set[Path] = set()
    todo = sorted(modules.glob("*.so"))
    while todo:
        for name in _needed(todo.pop()):
            library = there / name
            if library.exists() and library not in found:
                found.add(library)
                todo.append(library)
    return found


def _needed(library: Path) -> list[str]:
    command = ["readelf", "-d", str(library)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=clean_environment(), check=True)
    return _NEEDED.findall(told.stdout)


def _compile(python: Sequence[str | Path], folder: Path) -> None:
    """Modules as they are imported, so that none is compiled while a client waits; the same bytes each time."""
    how = ["-b", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    command = [*map(str, python), "-m", "compileall", *how, str(folder)]
    subprocess.run(command, env=clean_environment(PYTHONHASHSEED="0"), check=True)
    for source in folder.rglob("*.py"):
        source.unlink()
