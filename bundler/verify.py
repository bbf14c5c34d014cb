"""Checks that a bundle is, byte for byte, what was built.

The manifest holds a SHA-256 of the launcher and of every entry, and its own build id covers all of these.
What lies between entries (headers, padding, the directory) follows from them, so it is made again and compared:
there is no byte in the file whose change goes unnoticed.

Refuses to know what an entry is good for.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bundler.archive import Stored, central_directory, local_header
from bundler.content import FileRange
from bundler.copying import read
from runtime.bundle import ALIGNMENT, MANIFEST, Bundle


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the bundle that is not as it was built, and what is wrong with it."""

    part: str
    problem: str


def verify(bundle: Bundle, advance: Callable[[int], None]) -> tuple[Damage, ...]:
    """Everything that is wrong with `bundle`; empty when nothing is. `advance` gets the bytes as they are read."""
    stored = _stored(bundle)
    with bundle.path.open("rb") as file:
        fd = file.fileno()
        return (
            *_check_contents(bundle, stored, advance),
            *_check_manifest(bundle),
            *_check_structure(bundle.path, stored, fd),
        )


def _stored(bundle: Bundle) -> list[Stored]:
    """The archive's directory, with each entry's SHA-256 as the manifest has it."""
    sha256 = {entry.name: entry.sha256 for entry in bundle.manifest.entries}
    with zipfile.ZipFile(bundle.path) as archive:
        return [
            Stored(
                name=info.filename,
                header_offset=info.header_offset,
                data_offset=bundle.spans[info.filename].offset,
                size=info.file_size,
                crc32=info.CRC,
                sha256=sha256.get(info.filename, ""),
            )
            for info in archive.infolist()
        ]


def _check_contents(bundle: Bundle, stored: list[Stored], advance: Callable[[int], None]) -> Iterator[Damage]:
    launcher = bundle.manifest.entries[0]
    if _sha256(bundle.path, 0, ALIGNMENT, advance) != launcher.sha256:
        yield Damage("launcher", "its SHA-256 is not the one in the manifest")
    for entry in stored:
        if entry.name == MANIFEST:
            continue
        if not entry.sha256:
            yield Damage(entry.name, "the manifest does not list it")
        elif _sha256(bundle.path, entry.data_offset, entry.size, advance) != entry.sha256:
            yield Damage(entry.name, "its SHA-256 is not the one in the manifest")


def _check_manifest(bundle: Bundle) -> Iterator[Damage]:
    """Of what the file says, in its own order: a bundle may be older than fields that this version knows."""
    with zipfile.ZipFile(bundle.path) as archive:
        unsigned = msgspec.json.decode(archive.read(MANIFEST)) | {"build_id": ""}
    if hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest() != bundle.manifest.build_id:
        yield Damage(MANIFEST, "its content does not belong to its build id")


def _check_structure(path: Path, stored: list[Stored], fd: int) -> Iterator[Damage]:
    position = ALIGNMENT
    for entry in stored:
        header = local_header(entry)
        gap = entry.header_offset - position
        expected = b"\0" * min(gap, ALIGNMENT) + header
        if gap + len(header) != entry.data_offset - position or not _holds(fd, position, expected):
            yield Damage(entry.name, "the header before it is damaged")
        position = entry.data_offset + entry.size
    directory = central_directory(stored, position)
    if path.stat().st_size != position + len(directory) or not _holds(fd, position, directory):
        yield Damage("the archive's directory", "it is not as it was written")


def _holds(fd: int, offset: int, expected: bytes) -> bool:
    return os.pread(fd, len(expected), offset) == expected


def _sha256(path: Path, offset: int, size: int, advance: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    for chunk in read((FileRange(path, offset, size),)):
        digest.update(chunk)
        advance(len(chunk))
    return digest.hexdigest()
