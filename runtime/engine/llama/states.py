"""The state of one sequence: what llama.cpp computed of its tokens. In memory, or with its tokens in a file:

    8 bytes   b"LOAFKV1\\n"
    32 bytes  SHA-256 of all that follows
    32 bytes  what the state fits: SHA-256 of the model and the cache types it was computed with
    4 bytes   number of tokens, unsigned, little-endian as all numbers here
    8 bytes   size of the data
    …         the tokens, 4 bytes each
    …         the data of llama_state_seq_get_data

llama.cpp's own files of this kind carry no checksum, and a truncated one ends the process with an assertion: so the
file is ours, and what is in it reaches llama.cpp only when it is whole. Nothing is copied: both ways the file is
mapped. So is memory, for itself, which goes back to the system when nobody looks at it any more.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from runtime.engine.backend import StateFile
from runtime.engine.errors import StateFailed

_MAGIC = b"LOAFKV1\n"
_DIGEST = 32
_NUMBERS = struct.Struct("<IQ")
_HEADER = len(_MAGIC) + 2 * _DIGEST + _NUMBERS.size
_TOKEN = 4


def get_state(lib: Any, context: Any, slot: int, *, partial: bool = False) -> memoryview | None:
    """The state of `slot`; None if llama.cpp does not give it.

    `partial`: what of it is not a cell for each token, which is recurrent states and sliding windows.
    """
    flags = int(partial)  # LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY is 1
    size: int = lib.llama_state_seq_get_size_ext(context, slot, flags)
    if not size:
        return None
    content = mmap.mmap(-1, size)
    buffer = (ctypes.c_uint8 * size).from_buffer(content)
    taken: int = lib.llama_state_seq_get_data_ext(context, buffer, size, slot, flags)
    return memoryview(content) if taken == size else None


def set_state(lib: Any, context: Any, slot: int, state: memoryview, *, partial: bool = False) -> bool:
    """Put into `slot` what `get_state` gave. If False, `slot` may hold a part of it.

    `slot` is empty; or where the state is `partial`, it holds the cells that it was taken with, and maybe more.
    """
    buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
    return bool(lib.llama_state_seq_set_data_ext(context, buffer, len(state), slot, int(partial)) == len(state))


def save_state(lib: Any, context: Any, fits: bytes, slot: int, tokens: Sequence[int], path: Path) -> int:
    """Write the state of `slot`, which holds `tokens`, to `path`; returns bytes. `fits` is 32 bytes.

    A file that is there already is replaced when all is written. The new one is its owner's alone: it holds what was
    said. Raises `StateFailed`, `OSError`.
    """
    size: int = lib.llama_state_seq_get_size(context, slot)
    start = _HEADER + _TOKEN * len(tokens)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as file:
            os.posix_fallocate(file.fileno(), 0, start + size)  # says now that the disk is full, not while it is mapped
            with mmap.mmap(file.fileno(), start + size) as content:
                if _get_data(lib, context, slot, content, start, size) != size:
                    raise StateFailed(path, "cannot be written: llama.cpp did not give the state")
                content[len(_MAGIC) + _DIGEST : _HEADER] = fits + _NUMBERS.pack(len(tokens), size)
                content[_HEADER:start] = struct.pack(f"<{len(tokens)}i", *tokens)
                content[: len(_MAGIC)] = _MAGIC
                content[len(_MAGIC) : len(_MAGIC) + _DIGEST] = _digest(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return start + size


def read_tokens(fits: bytes, state: StateFile) -> tuple[int, ...]:
    """The tokens of the state in a file, which is not read as a whole: damage may still be found in it.

    Raises `StateFailed`, `OSError`.
    """
    with _opened(state) as file:
        n_tokens, _size = _check_header(fits, state, file)
        return struct.unpack(f"<{n_tokens}i", file.read(_TOKEN * n_tokens))


def restore_state(lib: Any, context: Any, fits: bytes, slot: int, state: StateFile) -> tuple[int, ...]:
    """Read into `slot`, which is empty, what `save_state` wrote; returns its tokens.

    Raises `StateFailed`, `OSError`. After an error `slot` may hold a part of it. An offset in a file must be one at
    which it can be mapped.
    """
    with _opened(state) as file:
        n_tokens, size = _check_header(fits, state, file)
        start = _HEADER + _TOKEN * n_tokens
        with mmap.mmap(file.fileno(), start + size, access=mmap.ACCESS_COPY, offset=state.offset) as content:
            if content[len(_MAGIC) : len(_MAGIC) + _DIGEST] != _digest(content):
                raise StateFailed(state.path, "is damaged")
            if _set_data(lib, context, slot, content, start, size) != size:
                raise StateFailed(state.path, "does not fit into the memory that is free")
            return struct.unpack(f"<{n_tokens}i", content[_HEADER:start])


def _opened(state: StateFile) -> BinaryIO:
    """The file, if it is one: whoever opens a pipe waits for its other end, and a link may lead anywhere.

    Links to a file that has more in it than a state, a bundle, are followed. Raises `StateFailed`, `OSError`.
    """
    follows = 0 if state.size is not None else os.O_NOFOLLOW
    try:
        fd = os.open(state.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follows)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise StateFailed(state.path, "is not a file") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StateFailed(state.path, "is not a file")
    return os.fdopen(fd, "rb")


def _check_header(fits: bytes, state: StateFile, file: BinaryIO) -> tuple[int, int]:
    """(tokens, bytes of data). `file` is read up to the first token."""
    file.seek(state.offset)
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StateFailed(state.path, "is not a saved state")
    n_tokens, size = _NUMBERS.unpack(header[-_NUMBERS.size :])
    whole = os.fstat(file.fileno()).st_size if state.size is None else state.size
    if _HEADER + _TOKEN * n_tokens + size != whole:
        raise StateFailed(state.path, "is damaged: it is not as long as it says")
    if header[len(_MAGIC) + _DIGEST : -_NUMBERS.size] != fits:
        raise StateFailed(state.path, "was saved with another model, or other cache types")
    return n_tokens, size


def _digest(content: mmap.mmap) -> bytes:
    with memoryview(content) as view, view[len(_MAGIC) + _DIGEST :] as rest:
        return hashlib.sha256(rest).digest()


def _get_data(lib: Any, context: Any, slot: int, content: mmap.mmap, start: int, size: int) -> int:
    buffer = (ctypes.c_uint8 * size).from_buffer(content, start)
    try:
        return int(lib.llama_state_seq_get_data(context, buffer, size, slot))
    finally:
        del buffer  # a mapping that is still looked at cannot be closed


def _set_data(lib: Any, context: Any, slot: int, content: mmap.mmap, start: int, size: int) -> int:
    buffer = (ctypes.c_uint8 * size).from_buffer(content, start)
    try:
        return int(lib.llama_state_seq_set_data(context, buffer, size, slot))
    finally:
        del buffer
