"""A GGUF's header, read within bounds.

Knows the format, versions 2 and 3, as llama.cpp reads it (`gguf_init_from_reader` in
ggml/src/gguf.cpp): a file that llama.cpp would refuse is refused here, where the reason can be told.
Refuses to know what the metadata means, and never reads tensor data.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import MappingProxyType

from bundler.errors import MalformedGGUF, NotGGUF, TruncatedGGUF, UnreadableGGUF, UnsupportedGGUF
from bundler.gguf.cursor import Cursor
from bundler.gguf.header import GGUF, align
from bundler.gguf.metadata import data_alignment, read_metadata
from bundler.gguf.tensors import read_tensors

MAGIC = b"GGUF"

# Ours: far above every known file (some 50 keys, 3,000 tensors), low enough to bound memory.
MAX_KEYS = 1 << 16
MAX_TENSORS = 1 << 16
_SMALLEST_ENTRY = 8 + 1 + 4 + 1  # a key of one letter, its type, a value of one byte
_SMALLEST_TENSOR = 8 + 4 + 4 + 8  # an empty name, no dimensions, the type, the offset


def read_gguf(path: Path, *, offset: int = 0, size: int | None = None) -> GGUF:
    """The header of the GGUF that lies at `offset` in the file `path` and has `size` bytes.

    Without `size` it reaches to the end of the file. Reads a few megabytes at most, whatever the
    size of the weights, and checks that all tensor data is there.

    Raises UnreadableGGUF, NotGGUF, UnsupportedGGUF, TruncatedGGUF or MalformedGGUF (bundler.errors).
    """
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableGGUF(path, error.strerror or str(error)) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableGGUF(path, "it is not a regular file")
        end = status.st_size if size is None else offset + size
        if end > status.st_size or offset > end:
            raise TruncatedGGUF(path, needed=end - offset, present=max(0, status.st_size - offset))
        return _read(Cursor(path, descriptor, offset, end), offset, end)
    finally:
        os.close(descriptor)


def _read(cursor: Cursor, start: int, end: int) -> GGUF:
    _check_magic(cursor, end - start)
    version = _read_version(cursor)
    tensor_count = cursor.u64("the number of tensors")
    key_count = cursor.u64("the number of metadata keys")
    _check_count(cursor, "tensors", tensor_count, MAX_TENSORS, _SMALLEST_TENSOR)
    _check_count(cursor, "metadata keys", key_count, MAX_KEYS, _SMALLEST_ENTRY)

    metadata, key_ranges = read_metadata(cursor, key_count, start)
    alignment = data_alignment(cursor.path, metadata, key_ranges)
    tensors = read_tensors(cursor, tensor_count, alignment)

    data_offset = cursor.position
    if tensors:
        data_offset = start + align(cursor.position - start, alignment)
        data_end = data_offset + tensors[-1].offset + tensors[-1].size
        if data_end > end:
            raise TruncatedGGUF(cursor.path, needed=data_end - start, present=end - start)
    return GGUF(
        path=cursor.path,
        offset=start,
        size=end - start,
        version=version,
        alignment=alignment,
        metadata=MappingProxyType(metadata),
        key_ranges=key_ranges,
        tensors=tensors,
        data_offset=data_offset,
    )


def _check_magic(cursor: Cursor, size: int) -> None:
    magic = cursor.take(min(len(MAGIC), size), "the magic number")
    if magic != MAGIC:
        start = magic + cursor.take(min(12, size - len(magic)), "the first bytes")
        raise NotGGUF(cursor.path, _guess_format(start))


def _guess_format(start: bytes) -> str | None:
    """What a file that begins with these 16 bytes is instead; None when nothing comes to mind."""
    if not start:
        return "an empty file: a download that was interrupted"
    if start[8:9] == b"{":  # the length of the JSON header (u64), then the header
        return "a safetensors file"
    for magic, name in _OTHER_FORMATS:
        if start.lower().startswith(magic):
            return name
    return None


_OTHER_FORMATS = (
    (b"pk\x03\x04", "a ZIP archive (PyTorch weights are)"),
    (b"version http", "a Git LFS pointer, not the file it stands for"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"#!/bin/", "a script or a bundle"),
    (b"\x7felf", "a program"),
    (b"lmgg", "a GGML file from before GGUF"),
    (b"fmgg", "a GGML file from before GGUF"),
    (b"tjgg", "a GGML file from before GGUF"),
    (b"algg", "a GGML adapter from before GGUF"),
)


def _read_version(cursor: Cursor) -> int:
    version = cursor.u32("the version")
    if version in (2, 3):
        return version
    if version and version & 0xFFFF == 0:  # 00 00 00 03: llama.cpp tells byte order by the same rule
        raise UnsupportedGGUF(
            cursor.path,
            "it is a big-endian GGUF",
            "Download the little-endian file of the model, or convert it (gguf_convert_endian.py).",
        )
    if version == 0:
        raise MalformedGGUF(cursor.path, "it says that it has version 0")
    if version == 1:
        raise UnsupportedGGUF(
            cursor.path,
            "it is a GGUF of version 1, which llama.cpp no longer reads",
            "Download a newer conversion of the model.",
        )
    raise UnsupportedGGUF(
        cursor.path,
        f"it is a GGUF of version {version}, and versions 2 and 3 are known",
        "A newer version of loaf may know it.",
    )


def _check_count(cursor: Cursor, what: str, count: int, limit: int, smallest: int) -> None:
    """`count` things of at least `smallest` bytes each must fit into what is left."""
    if count > limit:
        raise MalformedGGUF(cursor.path, f"it claims {count:,} {what}; at most {limit:,} are supported")
    cursor.demand(count * smallest, what)
