"""Moves bytes of files into another file: shared where the file system can, by the kernel where it can, hashed once.

Knows file systems and digests. Refuses to know what the bytes are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import queue
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from isal.isal_zlib import crc32 as crc32_of

from bundler.errors import SourceChanged
from bundler.file.content import Content, FileRange, Inline, Piece

CHUNK = 1024 * 1024
"""Bytes read, hashed and written at a time: small enough to stay in the processor's cache between them."""

_PIECE = 8 * CHUNK - 4096
"""Bytes that the kernel is asked to copy at a time: one page less than would be round. For what begins at multiples of
64 KiB Linux takes memory in blocks of that size. A virtual machine has often given these back to its host, and must ask
for them again, a page at a time; single pages are rarely given back. Measured on one, for 4.4 GB: 1.6 s each time, and
1.1 to 6.3 s with a round size."""

_FICLONERANGE = 0x4020940D  # linux/fs.h: _IOW(0x94, 13, struct file_clone_range)

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Digests:
    """What an entry's bytes come to: SHA-256 in hex, and the CRC-32 that ZIP wants."""

    sha256: str
    crc32: int


def copy(content: Content, fd: int, offset: int, advance: Advance, known: Digests | None = None) -> Digests:
    """Write `content` into `fd` at `offset`, and return its digests; with `known` ones nothing need be read for them.

    Raises `SourceChanged` when a file other than `fd` itself is changed meanwhile, and `OSError`.
    """
    with unchanged(content, fd):
        if known is not None:
            transfer(content, fd, offset, advance)
            return known
        return _hashed(content, fd, offset, advance)


def transfer(content: Content, fd: int, offset: int, advance: Advance) -> None:
    """Write `content` into `fd` at `offset`. Raises as `copy` does."""
    shared = _share(content, fd, offset)
    advance(shared)
    for piece, position in _placed(_split(content, shared)[1], offset + shared):
        _write(piece, fd, position)
        advance(piece.size)


def read(content: Content) -> Iterator[bytes]:
    """The bytes of `content`, in chunks of at most `CHUNK`. Raises `SourceChanged` and `OSError`."""
    for piece in content:
        if isinstance(piece, FileRange):
            yield from _read_range(piece)
        elif piece.data:
            yield piece.data


def write_all(fd: int, data: bytes, offset: int) -> None:
    """`pwrite` until everything is written."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def unchanged(content: Content, fd: int) -> Iterator[None]:
    """Raises `SourceChanged` where a file is not, after the block, what it was before: it is read more than once.

    But for the one that is written into: a bundle whose parts are moved about.
    """
    paths = {Path(piece.path) for piece in content if isinstance(piece, FileRange)}
    before = {path: path.stat() for path in paths}
    written = os.fstat(fd)
    yield
    for path, status in before.items():
        if os.path.samestat(status, written):
            continue
        now = path.stat()
        if (now.st_mtime_ns, now.st_size, now.st_ino) != (status.st_mtime_ns, status.st_size, status.st_ino):
            raise SourceChanged(path)


def _hashed(content: Content, fd: int, offset: int, advance: Advance) -> Digests:
    """Write `content`, and read what was written for its digests, while that is in memory.

    So they are of what is in `fd`, whatever happens to the files. Only what shares its blocks with a file is read
    there, since files that share blocks share no memory. SHA-256 is the slowest part by far, so it runs in a thread of
    its own beside copying, reading and CRC.
    """
    crc32 = 0
    shared = _share(content, fd, offset)
    front, rest = _split(content, shared)
    with _Hasher() as hasher:
        for chunk in chain(read(front), _written(rest, fd, offset + shared)):
            hasher.update(chunk)
            crc32 = crc32_of(chunk, crc32)
            advance(len(chunk))
        return Digests(hasher.hexdigest(), crc32)


def _written(content: Content, fd: int, offset: int) -> Iterator[bytes]:
    """Write `content` into `fd` at `offset`, and give what is then there, in chunks."""
    for piece, position in _placed(content, offset):
        _write(piece, fd, position)
        yield from _read_open(fd, position, piece.size)


def _split(content: Content, size: int) -> tuple[Content, Content]:
    """The first `size` bytes, which all lie in the first piece's file, and the rest."""
    if not size:
        return (), content
    first = content[0]
    assert isinstance(first, FileRange), "only files share blocks"
    rest = replace(first, offset=first.offset + size, size=first.size - size)
    return (replace(first, size=size),), (rest, *content[1:])


def _placed(content: Content, offset: int) -> Iterator[tuple[Piece, int]]:
    """The pieces of `content`, none larger than the kernel is to copy at a time, and where in the file they go."""
    for piece in content:
        if isinstance(piece, Inline):
            yield piece, offset
        else:
            for begin in range(0, piece.size, _PIECE):
                size = min(_PIECE, piece.size - begin)
                yield FileRange(piece.path, piece.offset + begin, size), offset + begin
        offset += piece.size


def _write(piece: Piece, fd: int, offset: int) -> None:
    if isinstance(piece, Inline):
        write_all(fd, piece.data, offset)
    else:
        _copy_range(piece, fd, offset)


def _share(content: Content, fd: int, offset: int) -> int:
    """Let `fd` have the blocks of the first file's bytes, as far as they fill blocks; returns how many bytes those are.

    FICLONERANGE of Linux: btrfs, XFS and others keep one copy for both. 0 where that cannot be done.
    """
    piece = content[0] if content else None
    if not isinstance(piece, FileRange):
        return 0
    block = os.fstatvfs(fd).f_bsize
    size = piece.size - piece.size % block
    if not size or offset % block or piece.offset % block:
        return 0
    source = os.open(piece.path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _FICLONERANGE, struct.pack("=qQQQ", source, piece.offset, size, offset))
    except OSError:  # another file system, or one that cannot
        return 0
    finally:
        os.close(source)
    return size


def _copy_range(piece: FileRange, fd: int, offset: int) -> None:
    """In the kernel, without a copy in our memory; what it does not take is read and written."""
    source = os.open(piece.path, os.O_RDONLY)
    done = 0
    try:
        with suppress(OSError):  # across file systems, or not supported: the rest is read and written
            while done < piece.size:
                copied = os.copy_file_range(source, fd, piece.size - done, piece.offset + done, offset + done)
                if not copied:
                    break
                done += copied
    finally:
        os.close(source)
    for chunk in _read_range(FileRange(piece.path, piece.offset + done, piece.size - done)):
        write_all(fd, chunk, offset + done)
        done += len(chunk)


def _read_range(piece: FileRange) -> Iterator[bytes]:
    fd, done = os.open(piece.path, os.O_RDONLY), 0
    try:
        os.posix_fadvise(fd, piece.offset, piece.size, os.POSIX_FADV_SEQUENTIAL)
        for chunk in _read_open(fd, piece.offset, piece.size):
            yield chunk
            done += len(chunk)
    finally:
        os.close(fd)
    if done < piece.size:
        raise SourceChanged(Path(piece.path))


def _read_open(fd: int, offset: int, size: int) -> Iterator[bytes]:
    """`size` bytes from `offset` on, or less where the file ends before."""
    end = offset + size
    while offset < end and (chunk := os.pread(fd, min(CHUNK, end - offset), offset)):
        yield chunk
        offset += len(chunk)


class _Hasher:
    """SHA-256 in a thread. At most a few chunks wait, so memory stays flat at any size."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._chunks: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Hasher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._stop()

    def update(self, chunk: bytes) -> None:
        self._chunks.put(chunk)

    def hexdigest(self) -> str:
        self._stop()
        return self._digest.hexdigest()

    def _stop(self) -> None:
        self._chunks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._digest.update(chunk)
