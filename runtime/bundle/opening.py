"""Reads a bundle that is there: its head, the archive's directory, the manifest. The weights are not touched.

Knows that nothing in a file is to be trusted. Refuses to know what the entries are good for.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from runtime.bundle.checking import check_entries, check_spans
from runtime.bundle.errors import (
    BundleDamaged,
    BundleTooNew,
    BundleTruncated,
    NoModelInside,
    NotABundle,
    WeightsNotBeside,
)
from runtime.bundle.format import ARGS, MANIFEST, MAX_MANIFEST, SCHEMA, Bundle, Manifest, Span
from runtime.bundle.head import HEAD_SIZE, Head, parse_head

_LOCAL_HEADER = 30  # bytes, without name and extra field: APPNOTE.TXT 4.3.7
_END = struct.Struct("<4s6xH2IH")  # what ends an archive, of which the size of the directory is looked at: 4.3.16

MAX_DIRECTORY = 16 * 1024 * 1024
"""Bytes of the archive's directory: a hundred thousand entries. Each takes a hundred times as much once it is read."""

_UNREADABLE = (zipfile.BadZipFile, struct.error, KeyError, ValueError, OverflowError, EOFError, RuntimeError)
"""What is raised by reading an archive, or numbers in it, that nobody wrote as such."""


def open_bundle(path: Path) -> Bundle:
    """Read the directory and the manifest of the bundle at `path`; the weights are not touched.

    Raises `NotABundle`, `BundleTruncated`, `BundleDamaged`, `BundleTooNew`, or `OSError` where the file
    cannot be read at all.
    """
    stated = stated_size(read_head(path))
    with open_archive(path) as archive:
        try:
            spans = {info.filename: span_of(archive, info) for info in archive.infolist()}
            if len(spans) < len(archive.infolist()):
                raise zipfile.BadZipFile("two entries have the same name")
            check_spans(path, spans, stated)
            manifest = _parse_manifest(path, _read_small(archive, MANIFEST))
            args = _read_small(archive, ARGS).decode() if ARGS in spans else ""
        except _UNREADABLE as error:
            raise BundleDamaged(path, "the archive's directory", str(error)) from error
    check_entries(path, manifest, spans)
    return Bundle(path, manifest, args, spans)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive in the bundle at `path`: what the launcher says there is, whatever lies behind it.

    Raises `NotABundle`, `BundleTruncated`, `BundleDamaged`, `OSError`.
    """
    with path.open("rb") as file:
        size = stated_size(_read_head(path, file))
        present = file.seek(0, io.SEEK_END)
        if present < size:
            raise BundleTruncated(path, present, size)
        try:
            _check_directory(file, size)
            archive = zipfile.ZipFile(_Bounded(file, size) if present > size else file)
        except _UNREADABLE as error:
            raise BundleDamaged(path, "the archive's directory", str(error)) from error
        with archive:
            yield archive


def check_beside(bundle: Bundle) -> None:
    """What belongs beside the bundle is there, and of its size. Raises `WeightsNotBeside`, `OSError`."""
    for entry in bundle.beside():
        file = bundle.path_of(entry)
        present = file.stat().st_size if file.is_file() else None
        if present is None or present < entry.offset + entry.size or (present > entry.size and not entry.offset):
            raise WeightsNotBeside(bundle.path, file, present, entry.size)


def check_has_models(bundle: Bundle) -> None:
    """Raises `NoModelInside`."""
    if not bundle.manifest.models:
        raise NoModelInside(bundle.path)


def is_bundle(path: Path) -> bool:
    """Whether the file begins with a launcher of ours."""
    with path.open("rb") as file:
        return _find_size(parse_head(file.read(HEAD_SIZE))) is not None


def stated_size(head: Head) -> int:
    """The full size of the bundle that its launcher states, in bytes."""
    size = _find_size(head)
    assert size is not None
    return size


def read_head(path: Path) -> Head:
    """What the head of the bundle at `path` holds. Raises `NotABundle`, `OSError`."""
    with path.open("rb") as file:
        return _read_head(path, file)


def _read_head(path: Path, file: IO[bytes]) -> Head:
    head = parse_head(file.read(HEAD_SIZE))
    if head is None or _find_size(head) is None:
        raise NotABundle(path)
    return head


_SIZE_LINE = re.compile(rb"^bundle_size=(\d{1,18})$", re.MULTILINE)


def _find_size(head: Head | None) -> int | None:
    match = _SIZE_LINE.search(head.launcher) if head is not None else None
    return int(match[1]) if match else None


def _check_directory(file: IO[bytes], size: int) -> None:
    """Raises `zipfile.BadZipFile` where the archive does not end as ours do, or has a directory of no size to read."""
    file.seek(size - _END.size)
    signature, _count, directory, _offset, comment = _END.unpack(file.read(_END.size))
    if signature != b"PK\5\6" or comment:
        raise zipfile.BadZipFile("the file does not end with it")
    if directory > MAX_DIRECTORY:
        raise zipfile.BadZipFile(f"it is said to have {directory:,} bytes")


class _Bounded(io.RawIOBase):
    """The first `size` bytes of a file: behind them is what an interrupted change has left."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_end = whence == io.SEEK_END
        return self._file.seek(self._size + offset, io.SEEK_SET) if from_end else self._file.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size is None or size < 0 else min(size, left))


def span_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Span:
    """Where a stored entry's data begins: the local header's own name and extra lengths decide.

    Raises `zipfile.BadZipFile`.
    """
    file = archive.fp
    assert file is not None
    if info.header_offset > archive.start_dir:
        raise zipfile.BadZipFile(f"{info.filename} is said to lie behind it")
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
        raise zipfile.BadZipFile(f"no local header for {info.filename}")
    if info.compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{info.filename} is compressed")
    name_length = int.from_bytes(header[26:28], "little")
    extra_length = int.from_bytes(header[28:30], "little")
    return Span(info.header_offset + _LOCAL_HEADER + name_length + extra_length, info.file_size)


def _read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > MAX_MANIFEST:
        raise zipfile.BadZipFile(f"{name} is {info.file_size:,} bytes long")
    return archive.read(info)


def _parse_manifest(path: Path, data: bytes) -> Manifest:
    class Versioned(msgspec.Struct):
        schema: int

    try:
        schema = msgspec.json.decode(data, type=Versioned).schema
        if schema > SCHEMA:
            raise BundleTooNew(path, schema)
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleDamaged(path, MANIFEST, str(error)) from error
