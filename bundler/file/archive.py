"""The archive part of a bundle: a ZIP whose large entries are stored and aligned, as bytes.

Python's own `zipfile` cannot align an entry by up to 64 KiB nor hash it while it is written, and sharing extents and
rewriting only the tail need the raw positions; hence our own few structures that a bundle uses. Same entries in the
same order give the same bytes: times are fixed, nothing is taken from the machine. The structures are those of PKWARE's
APPNOTE.TXT, sections 4.3 and 4.5.3.

Refuses to know what the entries mean (`plan.py`) and how they are read back (`runtime/bundle/`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from isal.isal_zlib import crc32

_NEEDS_ZIP64 = 0xFFFFFFFF
_FLAG_UTF8 = 0x0800
_MADE_BY_UNIX = 3 << 8
_REGULAR_FILE_0644 = 0o100644 << 16
_DATE_1980_01_01 = 0x0021


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it lies in the archive. Offsets and sizes in bytes from the start of the file."""

    name: str
    header_offset: int
    data_offset: int
    size: int
    crc32: int
    sha256: str


def close_with(stored: Sequence[Stored], position: int, name: str, data: bytes) -> bytes:
    """What ends a file whose entries end at `position`: a small entry called `name`, and the directory of all."""
    header_offset, data_offset = place(position, name, len(data), 1)
    last = Stored(name, header_offset, data_offset, len(data), crc32(data), "")
    return local_header(last) + data + central_directory((*stored, last), data_offset + len(data))


def place(position: int, name: str, size: int, alignment: int) -> tuple[int, int]:
    """Where the local header and the data of the next entry go: (header offset, data offset).

    The header stands directly before the data; what is left free before an aligned entry is zeros.
    """
    length = len(local_header(Stored(name, 0, 0, size, 0, "")))
    data_offset = -(-(position + length) // alignment) * alignment
    return data_offset - length, data_offset


def end_with(stored: Sequence[Stored], position: int, name: str, size: int) -> int:
    """The size of a file whose entries end at `position`, if one more of `size` bytes came before the directory."""
    header_offset, data_offset = place(position, name, size, 1)
    last = Stored(name, header_offset, data_offset, size, 0, "")
    return data_offset + size + len(central_directory((*stored, last), data_offset + size))


def local_header(entry: Stored) -> bytes:
    """The header before an entry's data."""
    name = entry.name.encode()
    zip64 = entry.size >= _NEEDS_ZIP64
    extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.size) if zip64 else b""
    size = _NEEDS_ZIP64 if zip64 else entry.size
    fixed = struct.pack(
        "<4s5H3I2H",
        b"PK\3\4",
        45 if zip64 else 20,
        _FLAG_UTF8,
        0,  # stored
        0,  # midnight
        _DATE_1980_01_01,
        entry.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return fixed + name + extra


def central_directory(entries: Sequence[Stored], offset: int) -> bytes:
    """The directory of all entries and the records that end the file, when written at `offset`."""
    directory = b"".join(_central_header(entry) for entry in entries)
    count, size = len(entries), len(directory)
    zip64 = b""
    if offset >= _NEEDS_ZIP64 or any(entry.size >= _NEEDS_ZIP64 for entry in entries):
        zip64 = struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, _MADE_BY_UNIX | 45, 45, 0, 0, count, count, size, offset
        ) + struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, min(offset, _NEEDS_ZIP64), 0)
    return directory + zip64 + end


def _central_header(entry: Stored) -> bytes:
    name = entry.name.encode()
    wide = []
    if entry.size >= _NEEDS_ZIP64:
        wide += [entry.size, entry.size]
    if entry.header_offset >= _NEEDS_ZIP64:
        wide.append(entry.header_offset)
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size = min(entry.size, _NEEDS_ZIP64)
    version = 45 if wide else 20
    fixed = struct.pack(
        "<4s6H3I5H2I",
        b"PK\1\2",
        _MADE_BY_UNIX | version,
        version,
        _FLAG_UTF8,
        0,
        0,
        _DATE_1980_01_01,
        entry.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _REGULAR_FILE_0644,
        min(entry.header_offset, _NEEDS_ZIP64),
    )
    return fixed + name + extra
