"""Changes where ELF files look for libraries: a program in folders that are not known when it is made, and a library
where the program does.

A program is given room for two texts that are written over when it is installed: those folders, and its loader. The
room is the file's end: `ROOM` bytes, a whole number of blocks from its start, so that `dd` can write there. Knows ELF
(System V ABI, chapters 4 and 5; `man 5 elf`), for 64-bit little-endian machines. Refuses to know what the texts say.

Nothing that is there moves. The room becomes a segment of its own, for which the entry of the notes is given up, which
nobody reads at run time; DT_RPATH is an offset from the string table, and may lie behind its end; and for its entry in
the dynamic section linkers leave some empty ones. DT_RPATH, not DT_RUNPATH: only it holds for what libraries ask for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

BLOCK = 4096
"""Bytes: a page, and as many as Linux takes for a path (PATH_MAX)."""

LIBRARY_PATH_BLOCKS = 2
"""For two paths with a colon between them. Behind them lies one block for the loader's path."""

ROOM = (LIBRARY_PATH_BLOCKS + 1) * BLOCK

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<QQ")
_MAGIC = b"\x7fELF\x02\x01"  # 64-bit, little-endian
_LOAD, _DYNAMIC_SEGMENT, _INTERPRETER, _NOTE = 1, 2, 3, 4  # PT_…
_READABLE = 4  # PF_R
_NULL, _STRING_TABLE, _RPATH, _RUNPATH = 0, 5, 15, 29  # DT_…


class Unalterable(Exception):
    """The file is not laid out so that it can be changed; the text says why not."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A program header, as in the file."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    alignment: int


def with_room(program: bytes, library_path: str) -> bytes:
    """`program` with room at its end, in which its own loader and `library_path` are written. Raises `Unalterable`."""
    segments = _segments(program)
    loader = loader_of(program).encode()
    whole = bytearray(program.ljust(-(-len(program) // BLOCK) * BLOCK, b"\0"))
    room = _new_segment(segments, len(whole))
    loader_at = LIBRARY_PATH_BLOCKS * BLOCK
    _name_library_path(whole, segments, room.address)
    _replace(whole, segments, _INTERPRETER, _inside(_INTERPRETER, room, loader_at, ROOM - loader_at))
    _replace(whole, segments, _NOTE, room)
    return bytes(whole + library_path.encode().ljust(loader_at, b"\0") + loader.ljust(ROOM - loader_at, b"\0"))


def placed(program: bytes, library_path: str, loader: str) -> bytes:
    """`program`, which has room, with these two texts in it. Raises `Unalterable` where they are too long."""
    texts = ((library_path.encode(), LIBRARY_PATH_BLOCKS * BLOCK), (loader.encode(), BLOCK))
    if any(len(text) >= size for text, size in texts):
        raise Unalterable("the path of the folder that it lies in is too long")
    return program[:-ROOM] + b"".join(text.ljust(size, b"\0") for text, size in texts)


def with_inherited_path(library: bytes) -> bytes:
    """`library`, which then looks for what it needs where the program does, too, and in no folder of this machine.

    DT_RUNPATH keeps the program's DT_RPATH from counting: it becomes one itself where it is relative to the library
    (`$ORIGIN`), and goes where it names a folder by its full path. What is no ELF file with one comes back as it is.
    """
    if not library.startswith(_MAGIC):
        return library
    section = next((segment for segment in _segments(library) if segment.kind == _DYNAMIC_SEGMENT), None)
    entries = [] if section is None else _entries(library, section)
    at = next((number for number, (tag, _value) in enumerate(entries) if tag in (_RPATH, _RUNPATH)), None)
    if section is None or at is None:
        return library
    strings = _offset(library, dict(entries)[_STRING_TABLE])
    path = library[strings + entries[at][1] :].partition(b"\0")[0]
    if path.startswith(b"$ORIGIN"):
        entries[at] = (_RPATH, entries[at][1])
    else:
        entries = [*entries[:at], *entries[at + 1 :], (_NULL, 0)]
    packed = b"".join(_DYNAMIC.pack(*entry) for entry in entries)
    return library[: section.offset] + packed + library[section.offset + len(packed) :]


def loader_of(program: bytes) -> str:
    """The path of what the kernel starts to load `program`. Raises `Unalterable`."""
    interpreter = _only(_segments(program), _INTERPRETER)
    text = program[interpreter.offset : interpreter.offset + interpreter.file_size]
    return text.partition(b"\0")[0].decode()


def _segments(program: bytes | bytearray) -> list[_Segment]:
    if not program.startswith(_MAGIC):
        raise Unalterable("it is no ELF file of a 64-bit, little-endian machine")
    start, size, count = _program_headers(program)
    return [_Segment(*_SEGMENT.unpack_from(program, start + number * size)) for number in range(count)]


def _program_headers(program: bytes | bytearray) -> tuple[int, int, int]:
    """(where the first is, the bytes of one, how many)"""
    header = _HEADER.unpack_from(program)
    return header[5], header[9], header[10]


def _only(segments: list[_Segment], kind: int) -> _Segment:
    found = next((segment for segment in segments if segment.kind == kind), None)
    if found is None:
        raise Unalterable(f"it has no program header of type {kind}")
    return found


def _new_segment(segments: list[_Segment], offset: int) -> _Segment:
    """For the room at `offset`, behind all others in memory. Their headers have to be in the order of addresses."""
    loads = [segment for segment in segments if segment.kind == _LOAD]
    if segments.index(loads[-1]) > segments.index(_only(segments, _NOTE)):
        raise Unalterable("its notes come before what is loaded")
    alignment = max(segment.alignment for segment in loads)
    end = max(segment.address + segment.memory_size for segment in loads)
    address = -(-end // alignment) * alignment + offset % alignment
    return _Segment(_LOAD, _READABLE, offset, address, address, ROOM, ROOM, alignment)


def _inside(kind: int, room: _Segment, start: int, size: int) -> _Segment:
    address = room.address + start
    return _Segment(kind, _READABLE, room.offset + start, address, address, size, size, 1)


def _replace(whole: bytearray, segments: list[_Segment], kind: int, by: _Segment) -> None:
    """Write `by` in place of the first header of `kind`."""
    start, size, _count = _program_headers(whole)
    at = start + segments.index(_only(segments, kind)) * size
    _SEGMENT.pack_into(
        whole, at, by.kind, by.flags, by.offset, by.address, by.physical, by.file_size, by.memory_size, by.alignment
    )


def _name_library_path(whole: bytearray, segments: list[_Segment], address: int) -> None:
    """Add the entry that says where the text is: at `address`."""
    section = _only(segments, _DYNAMIC_SEGMENT)
    entries = _entries(whole, section)
    tags = [tag for tag, _value in entries]
    if _RPATH in tags or _RUNPATH in tags:
        raise Unalterable("it has a library path already")
    end = tags.index(_NULL) if _NULL in tags else len(tags)
    if tags[end : end + 2] != [_NULL, _NULL]:  # one to take, one that ends the section
        raise Unalterable("its dynamic section is full")
    strings = dict(entries)[_STRING_TABLE]
    _DYNAMIC.pack_into(whole, section.offset + end * _DYNAMIC.size, _RPATH, address - strings)


def _entries(content: bytes | bytearray, section: _Segment) -> list[tuple[int, int]]:
    """(tag, value) of all that the dynamic section holds, what is empty at its end included."""
    places = range(section.offset, section.offset + section.file_size, _DYNAMIC.size)
    return [_DYNAMIC.unpack_from(content, at) for at in places]


def _offset(content: bytes, address: int) -> int:
    """Where in the file lies what is loaded to `address`."""
    for segment in _segments(content):
        if segment.kind == _LOAD and segment.address <= address < segment.address + segment.file_size:
            return segment.offset + address - segment.address
    raise Unalterable("its strings are in no part of it that is loaded")
