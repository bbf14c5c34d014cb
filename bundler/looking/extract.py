"""Takes a bundle apart into the files that it holds.

Knows that names in an archive are not to be trusted. Refuses to know what the files mean.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bundler.errors import UnsafeEntryName
from bundler.file.content import FileRange
from bundler.file.copying import transfer
from bundler.file.replacing import replacing
from runtime.bundle import Bundle, Place, check_beside


def extract(bundle: Bundle, folder: Path, advance: Callable[[int], None]) -> tuple[Path, ...]:
    """Write every entry of `bundle` below `folder`; returns the files. `advance` gets bytes as they are written.

    Raises `UnsafeEntryName` and `WeightsNotBeside` before anything is written, and `OSError`.
    """
    check_beside(bundle)
    places = {name: bundle.place_of(name) for name in bundle.spans}
    places |= {entry.name: Place(bundle.path_of(entry), entry.offset, entry.size) for entry in bundle.beside()}
    targets = {name: folder / _safe(bundle.path, name) for name in places}
    for name, target in targets.items():
        place = places[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, 0o666) as fd:
            transfer((FileRange(place.path, place.offset, place.size),), fd, 0, advance)
    return tuple(targets.values())


def _safe(bundle: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts or not name.isprintable():
        raise UnsafeEntryName(bundle, name)
    return path
