"""Reading forward through a header that may be damaged, cut short, or made to do harm.

Knows the region it may read and refuses to leave it: whatever length the file claims is compared
with what is left before anything is allocated or read. Refuses to know what the bytes mean.

Plain reads rather than mmap: a mapped file that shrinks, or a network disk that fails, would end the
process with SIGBUS instead of an error that can be told.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from bundler.errors import MalformedGGUF, TruncatedGGUF, UnreadableGGUF

# No writer comes near: a vocabulary of a million tokens with its merges is 60 MB. It bounds what a
# damaged length can make us walk through in a file of many gigabytes.
MAX_HEADER_SIZE = 128 << 20
# The longest strings in real files are chat templates and tokenizer.huggingface.json, up to 20 MB.
MAX_STRING_SIZE = 64 << 20

_WINDOW = 256 << 10
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class Cursor:
    """A position in `[start, end)` of an open file, moving forward only. All in bytes of the file.

    Each method takes `what`, the name of the thing being read, for the error message. They raise
    TruncatedGGUF when the region ends first, MalformedGGUF when what is claimed is absurd for a
    file of any length, and UnreadableGGUF when the disk fails.
    """

    def __init__(self, path: Path, descriptor: int, start: int, end: int) -> None:
        self.path = path
        self.position = start
        self._descriptor = descriptor
        self._start = start
        self._end = end
        self._window = b""
        self._window_start = start

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes."""
        self.demand(size, what)
        at = self.position - self._window_start
        if at + size > len(self._window):
            self._load(size)
            at = 0
        self.position += size
        return self._window[at : at + size]

    def u32(self, what: str) -> int:
        return int(_U32.unpack(self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(_U64.unpack(self.take(8, what))[0])

    def string(self, what: str) -> bytes:
        """A length (u64) and as many bytes."""
        return self.take(self._string_size(self.u64(what), what), what)

    def identifier(self, what: str, longest: int) -> str:
        """A string of at most `longest` bytes that must be valid UTF-8."""
        data = self.string(what)
        if len(data) > longest:
            raise MalformedGGUF(self.path, f"{what} is {len(data):,} bytes long; at most {longest:,} are possible")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedGGUF(self.path, f"{what} is not valid UTF-8: {data[:64]!r}") from None

    def skip(self, size: int, what: str) -> None:
        """Pass over `size` bytes without reading them."""
        self.demand(size, what)
        self.position += size

    def skip_strings(self, count: int, what: str) -> None:
        """Pass over `count` strings, reading their lengths only (0.1 µs each: vocabularies are long)."""
        unpack = _U64.unpack_from
        while count:
            size = self.u64(what)
            window, at = self._window, self.position - self._window_start
            last = len(window) - 8
            count -= 1
            while count and at + size <= last:
                at += size
                (size,) = unpack(window, at)
                at += 8
                count -= 1
            self.position = self._window_start + at
            self.skip(self._string_size(size, what), what)

    def demand(self, size: int, what: str) -> None:
        """Raise unless `size` bytes are left."""
        limit = self._start + MAX_HEADER_SIZE
        if self.position + size > limit:
            raise MalformedGGUF(
                self.path,
                f"{what} would need {size:,} bytes, and a whole header has at most {MAX_HEADER_SIZE:,}",
            )
        if self.position + size > self._end:
            raise TruncatedGGUF(self.path, needed=self.position + size - self._start, present=self._end - self._start)

    def _string_size(self, size: int, what: str) -> int:
        if size > MAX_STRING_SIZE:
            raise MalformedGGUF(
                self.path,
                f"{what} claims to be {size:,} bytes long; at most {MAX_STRING_SIZE:,} are possible",
            )
        return size

    def _load(self, size: int) -> None:
        """Read a window that starts here and holds `size` bytes, which are known to be in the region."""
        wanted = max(size, min(_WINDOW, self._end - self.position))
        try:
            self._window = os.pread(self._descriptor, wanted, self.position)
        except OSError as error:
            raise UnreadableGGUF(self.path, error.strerror or str(error)) from error
        self._window_start = self.position
        if len(self._window) < size:  # the file shrank since it was opened
            raise TruncatedGGUF(
                self.path,
                needed=self.position + size - self._start,
                present=self.position + len(self._window) - self._start,
            )
