"""Checks that a bundle is, byte for byte, what was built.

The manifest holds a SHA-256 of the launcher and of every entry, and its own build id covers all of these.
What lies between entries (headers, padding, the directory) follows from them, so it is made again and compared:
there is no byte in the file whose change goes unnoticed. Where a change of the bundle was interrupted, that holds for
what is live; the rest is left over, and of no use.

Refuses to know what an entry is good for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bundler.file.archive import Stored, central_directory, local_header
from bundler.file.content import FileRange
from bundler.file.copying import read
from bundler.file.stored import stored_entries
from runtime.bundle import ALIGNMENT, MANIFEST, Bundle, open_archive, read_head
from runtime.bundle.head import Head, make_head


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the bundle that is not as it was built, and what is wrong with it."""

    part: str
    problem: str


def verify(bundle: Bundle, advance: Callable[[int], None]) -> tuple[Damage, ...]:
    """Everything that is wrong with `bundle`; empty when nothing is. `advance` gets the bytes as they are read."""
    stored = stored_entries(bundle)
    head = read_head(bundle.path)
    with bundle.path.open("rb") as file:
        fd = file.fileno()
        return (
            *_check_head(bundle, head, fd),
            *_check_contents(bundle, stored, advance),
            *_check_beside(bundle, advance),
            *_check_manifest(bundle),
            *_check_structure(bundle.path, stored, head, fd),
        )


def _check_head(bundle: Bundle, head: Head, fd: int) -> Iterator[Damage]:
    whole = make_head(head.launcher)
    is_whole = not head.is_settled or _holds(fd, 0, whole)
    if not is_whole or hashlib.sha256(whole).hexdigest() != bundle.manifest.entries[0].sha256:
        yield Damage("launcher", "its SHA-256 is not the one in the manifest")


def _check_contents(bundle: Bundle, stored: list[Stored], advance: Callable[[int], None]) -> Iterator[Damage]:
    for entry in stored:
        if entry.name == MANIFEST:
            continue
        if not entry.sha256:
            yield Damage(entry.name, "the manifest does not list it")
        elif _sha256(bundle.path, entry.data_offset, entry.size, advance) != entry.sha256:
            yield Damage(entry.name, "its SHA-256 is not the one in the manifest")


def _check_beside(bundle: Bundle, advance: Callable[[int], None]) -> Iterator[Damage]:
    known: dict[str, str] = {}  # several parts may be the same file
    for entry in bundle.beside():
        file = bundle.path_of(entry)
        if not file.is_file():
            yield Damage(entry.name, f"{file}, which should hold it, is missing")
            continue
        is_as_long = file.stat().st_size == entry.size
        if is_as_long and entry.file not in known:
            known[entry.file] = _sha256(file, 0, entry.size, advance)
        if not is_as_long or known[entry.file] != entry.sha256:
            yield Damage(entry.name, f"{file} is not as long as it should be, or has another SHA-256")


def _check_manifest(bundle: Bundle) -> Iterator[Damage]:
    """Of what the file says, in its own order: a bundle may be older than fields that this version knows."""
    with open_archive(bundle.path) as archive:
        unsigned = msgspec.json.decode(archive.read(MANIFEST)) | {"build_id": ""}
    if hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest() != bundle.manifest.build_id:
        yield Damage(MANIFEST, "its content does not belong to its build id")


def _check_structure(path: Path, stored: list[Stored], head: Head, fd: int) -> Iterator[Damage]:
    position, may_move = ALIGNMENT, not head.is_first
    for entry in stored:
        if may_move and entry.header_offset - position >= ALIGNMENT:  # put aside: see `bundler/changing/`
            position, may_move = entry.header_offset, False
        header = local_header(entry)
        gap = entry.header_offset - position
        expected = b"\0" * min(gap, ALIGNMENT) + header
        if gap + len(header) != entry.data_offset - position or not _holds(fd, position, expected):
            yield Damage(entry.name, "the header before it is damaged")
        position = entry.data_offset + entry.size
    directory = central_directory(stored, position)
    excess = path.stat().st_size - position - len(directory)
    if not _holds(fd, position, directory) or (head.is_settled and excess):
        yield Damage("the archive's directory", "it is not as it was written")


def _holds(fd: int, offset: int, expected: bytes) -> bool:
    return os.pread(fd, len(expected), offset) == expected


def _sha256(path: Path, offset: int, size: int, advance: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    for chunk in read((FileRange(path, offset, size),)):
        digest.update(chunk)
        advance(len(chunk))
    return digest.hexdigest()
