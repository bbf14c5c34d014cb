"""What loaf and its bundles keep on this disk for later, and taking it away: all of it is made or fetched again.

Knows where it lies and by what names. What has another name is not ours and stays, whatever folder the environment
has named. Refuses to know what it is worth, and to ask anybody.

What runs stays: a program holds its entry of the build cache by a lock (`locking.py`), and what a bundle has unpacked
and fetched is mapped by the process that uses it. Those in containers that share the folder are not seen.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundler.store.cache import build_cache
from bundler.store.downloads import download_store
from bundler.store.locking import locked_if_free
from bundler.store.pruning import take_away
from runtime.machine.unpacked import KEY, is_used, mapped_files, size_of, unpacked_in
from runtime.machine.unpacked import take_away as take_folder_away

PROGRAMS, MODELS, DOWNLOADS, BUILDS = KINDS = ("programs", "models", "downloads", "builds")
"""Unpacked by bundles; fetched by them (-hf, -mu); fetched for builds; made for builds."""

_ENTRY = re.compile(rf"{KEY}(\..+\.partial)?")


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that can go, of one of `KINDS`. `size` in bytes; `is_used`: by a process of this user, just now."""

    kind: str
    path: Path
    size: int
    is_used: bool


def kept() -> list[Kept]:
    """All that is there, in the order of `KINDS`. What cannot be read is left out."""
    mapped = mapped_files()
    found = [(PROGRAMS, path) for folder in unpacking_folders() for path in unpacked_in(folder)]
    found += [(MODELS, path) for folder in unpacking_folders() for path in _fetched(folder)]
    used = [is_used(path, mapped) for _kind, path in found]
    ours = [Kept(kind, path, size_of(path), is_used) for (kind, path), is_used in zip(found, used, strict=True)]
    ours += [Kept(DOWNLOADS, path, size_of(path), _is_locked(path)) for path in _downloads()]
    return ours + [Kept(BUILDS, path, size_of(path), _is_locked(path)) for path in _entries()]


def clear(one: Kept) -> bool:
    """Take it away, all at once for who looks for it; whether it is gone. What is used stays. Raises `OSError`."""
    if one.is_used:
        return False
    if one.kind in (PROGRAMS, MODELS):
        take_folder_away(one.path)
        _forget_repository(one.path)
        return True
    with locked_if_free(_locked_with(one.path)) as is_free:
        if is_free and one.path.is_dir():
            take_away(one.path)
        elif is_free:
            one.path.unlink(missing_ok=True)
        return is_free


def unpacking_folders() -> list[Path]:
    """Each place that the launcher would unpack into (templates/launcher.sh), where this user may write."""
    named = os.environ.get("LOAF_CACHE_DIR")
    bases = (os.environ.get("XDG_CACHE_HOME"), Path.home() / ".cache")
    usual = [Path(base, "loaf") for base in bases if base]
    places = [*([Path(named)] if named else []), *usual, Path(tempfile.gettempdir(), f"loaf-{os.getuid()}")]
    return [place for place in dict.fromkeys(place.absolute() for place in places) if os.access(place, os.W_OK)]


def _fetched(folder: Path) -> Iterator[Path]:
    """models/OWNER/REPO/DIGEST and models/web/DIGEST (`runtime/fetching/models.py`)."""
    found = (*folder.glob("models/*/*/*/"), *folder.glob("models/web/*/"))
    return (path for path in sorted(found) if re.fullmatch(KEY, path.name) and not path.is_symlink())


def _downloads() -> Iterator[Path]:
    store = download_store()
    found = sorted(store.iterdir()) if store.is_dir() else []
    return (path for path in found if path.suffix != ".lock" and path.is_file())


def _entries() -> Iterator[Path]:
    found = sorted(build_cache().glob("*/*/"))
    return (path for path in found if _ENTRY.fullmatch(path.name) and not path.is_symlink())


def _forget_repository(path: Path) -> None:
    """The folders around a model that was the only one of its repository."""
    for folder in (path.parent, path.parent.parent):
        if folder.parent.name == "models":
            with contextlib.suppress(OSError):
                folder.rmdir()


def _is_locked(path: Path) -> bool:
    try:
        with locked_if_free(_locked_with(path)) as is_free:
            return not is_free
    except OSError:  # somebody else's
        return True


def _locked_with(path: Path) -> Path:
    """What is locked while `path` is made or used: an entry under its key, a download under its final name."""
    if path.parent == download_store():
        return path.with_name(path.name.removesuffix(".etag").removesuffix(".part"))
    return path.with_name(path.name.partition(".")[0])
