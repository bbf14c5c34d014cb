"""What a bundle says of itself, held against what it is: names, sizes, and how often a byte may be named.

Knows the format. Refuses to know how it is read (`opening.py`), and whether bytes are right (`loaf verify`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runtime.bundle.errors import BundleDamaged
from runtime.bundle.format import MANIFEST, Entry, Manifest, Span


def check_spans(path: Path, spans: dict[str, Span], size: int) -> None:
    """The archive's entries lie in the `size` bytes of it, and none in another: so reading all takes no longer.

    Raises `BundleDamaged`.
    """
    for name, span in spans.items():
        if span.offset + span.size > size:
            left = max(size - span.offset, 0)
            raise BundleDamaged(path, name, f"it is said to have {span.size:,} bytes, and the file has {left:,} for it")
    _check_apart(path, spans.items())


def check_entries(path: Path, manifest: Manifest, spans: dict[str, Span]) -> None:
    """Every entry that the manifest names is there, of the size it names, or may lie beside the bundle; models have
    names of their own.

    Raises `BundleDamaged`.
    """
    for entry in manifest.entries:
        if entry.file:
            if entry.name in spans or not _is_plain(entry.file):
                raise BundleDamaged(path, entry.name, f"it cannot lie beside the bundle as {entry.file!r}")
            if min(entry.offset, entry.size) < 0:
                raise BundleDamaged(path, entry.name, "there can be no such place beside the bundle")
        elif entry.name and (entry.name not in spans or spans[entry.name].size != entry.size):
            raise BundleDamaged(path, entry.name, "the archive does not hold it as the manifest says")
    _check_beside(path, manifest.entries)
    listed = {entry.name for entry in manifest.entries}
    if len(listed) < len(manifest.entries):
        raise BundleDamaged(path, MANIFEST, "it lists an entry twice")
    programs = (*manifest.runtimes, *manifest.builders)
    named = [model.entry for model in manifest.models] + [program.entry for program in programs]
    named += [pack.entry for pack in manifest.media]
    named += [pack.entry for pack in manifest.packs] + ([manifest.warm.entry] if manifest.warm else [])
    for name in named:
        if name not in listed:
            raise BundleDamaged(path, name, "the manifest names it but does not list it")
    served = [model.name for model in manifest.models if model.role == "model"]
    if len(set(served)) < len(served):
        raise BundleDamaged(path, MANIFEST, "it names two models alike")
    if not served and (manifest.models or not manifest.runtimes):
        raise BundleDamaged(path, MANIFEST, "it names no model")


def _is_plain(name: str) -> bool:
    """Whether a file may have the name in any folder, and a terminal may show it."""
    return name.isprintable() and name not in (".", "..") and not set(name) & {"/", "\\"}


def _check_beside(path: Path, entries: Iterable[Entry]) -> None:
    """Several entries may be the same part of a file beside the bundle, but none lies half in another."""
    places: dict[str, dict[Span, str]] = {}
    for entry in entries:
        if entry.file:
            places.setdefault(entry.file, {})[Span(entry.offset, entry.size)] = entry.name
    for of_file in places.values():
        _check_apart(path, ((name, span) for span, name in of_file.items()))


def _check_apart(path: Path, spans: Iterable[tuple[str, Span]]) -> None:
    end = 0
    for name, span in sorted(spans, key=lambda pair: (pair[1].offset, pair[1].size)):
        if span.offset < end:
            raise BundleDamaged(path, name, "it lies where another entry is")
        end = span.offset + span.size
