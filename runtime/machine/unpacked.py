"""What bundles have unpacked into a cache folder: by what names, whether a process uses it, and taking it away.

Links are not followed, and what has another name is not ours. Refuses to know what it is worth, and who asks.
Of processes, those of this user count whose `/proc` can be read: not those in containers that share the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

KEY = "[0-9a-f]{16}"
"""The beginning of a SHA-256, by which archives go."""

_UNPACKED = re.compile(rf"(core|cuda|rocm|vulkan|metal|media)-{KEY}|\.core-{KEY}\..+")
_MAPPED = re.compile(r" (/.*)$", re.MULTILINE)


def unpacked_in(cache: Path) -> Iterator[Path]:
    """Programs and packs, and what is left of those whose unpacking was interrupted, by their names."""
    found = sorted(cache.glob("*/"))
    return (path for path in found if _UNPACKED.fullmatch(path.name) and not path.is_symlink())


def mapped_files(besides: int = 0) -> set[str]:
    """Every file that a process of this user has mapped; not what the process with the number `besides` has."""
    files: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if maps.parent.name != str(besides):
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                files.update(_MAPPED.findall(maps.read_text("utf-8", "surrogateescape")))
    return files


def is_used(folder: Path, mapped: Collection[str]) -> bool:
    """Whether one of the `mapped` files is in it."""
    return any(file.startswith(f"{folder.resolve()}/") for file in mapped)


def size_of(path: Path) -> int:
    """Of all files in it, in bytes, without following links."""
    files = (Path(folder, name) for folder, _folders, names in os.walk(path) for name in names)
    total = 0
    for file in (path, *files) if path.is_file() else files:
        with contextlib.suppress(OSError):
            total += file.lstat().st_size
    return total


def take_away(folder: Path) -> None:
    """Under a name by which the next launch takes it away, should this be interrupted. Raises `OSError`."""
    gone = folder
    if not folder.name.startswith("."):
        gone = folder.with_name(f".{folder.name}.{os.uname().nodename}.{os.getpid()}")
        folder.rename(gone)
    shutil.rmtree(gone)
