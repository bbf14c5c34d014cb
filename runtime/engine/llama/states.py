"""The state of one sequence: what llama.cpp computed of its tokens. In memory, or with its tokens in a file:

    8 bytes   b"LOAFKV1\\n"
    32 bytes  SHA-256 of all that follows
    32 bytes  what the state fits: SHA-256 of the model and the cache types it was computed with
    4 bytes   number of tokens, unsigned, little-endian as all numbers here
    8 bytes   size of the data
    …         the tokens, 4 bytes each
    …         the data of llama_state_seq_get_data
    …         what the memory can go back to, where it cannot be cut, ascending: for each
              4 bytes number of tokens, 8 bytes size, and the data of llama_state_seq_get_data_ext, which is partial

llama.cpp's own files of this kind carry no checksum, and a truncated one ends the process with an assertion: so the
file is ours, and what is in it reaches llama.cpp only when it is whole. Nothing is copied: both ways the file is
mapped. So is memory, for itself, which goes back to the system when nobody looks at it any more.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from runtime.engine.errors import StateFailed
from runtime.engine.states import PartialState, SavedSequence, StateFile
from runtime.engine.unfinished import whole_file

_MAGIC = b"LOAFKV1\n"
_DIGEST = 32
_NUMBERS = struct.Struct("<IQ")
_HEADER = len(_MAGIC) + 2 * _DIGEST + _NUMBERS.size
_CHECKPOINT = struct.Struct("<IQ")
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


def save_state(lib: Any, context: Any, fits: bytes, slot: int, saved: SavedSequence, path: Path) -> int:
    """Write the state of `slot`, which holds what is `saved`, to `path`; returns bytes. `fits` is 32 bytes.

    A file that is there already is replaced when all is written. The new one is its owner's alone: it holds what was
    said. Raises `StateFailed`, `OSError`.
    """
    size: int = lib.llama_state_seq_get_size(context, slot)

    def fill(content: mmap.mmap, start: int) -> None:
        if _get_data(lib, context, slot, content, start, size) != size:
            raise StateFailed(path, "cannot be written: llama.cpp did not give the state")

    return _write(fits, saved, size, fill, path)


def write_state(fits: bytes, saved: SavedSequence, state: memoryview, path: Path) -> int:
    """The same of a `state` that `get_state` gave. Called from any thread. Raises `OSError`."""

    def fill(content: mmap.mmap, start: int) -> None:
        content[start : start + len(state)] = state

    return _write(fits, saved, len(state), fill, path)


def _write(fits: bytes, saved: SavedSequence, size: int, fill: Callable[[mmap.mmap, int], None], path: Path) -> int:
    """A file of what is `saved`, with `size` bytes of data, which `fill` puts to their place."""
    tokens = saved.tokens
    start = _HEADER + _TOKEN * len(tokens)
    whole = start + size + sum(_CHECKPOINT.size + len(one.state) for one in saved.checkpoints)
    with whole_file(path) as file:
        os.posix_fallocate(file.fileno(), 0, whole)  # says now that the disk is full, not while it is mapped
        with mmap.mmap(file.fileno(), whole) as content:
            fill(content, start)
            content[len(_MAGIC) + _DIGEST : _HEADER] = fits + _NUMBERS.pack(len(tokens), size)
            content[_HEADER:start] = struct.pack(f"<{len(tokens)}i", *tokens)
            content.seek(start + size)
            for one in saved.checkpoints:
                content.write(_CHECKPOINT.pack(one.length, len(one.state)))
                content.write(one.state)
            content[: len(_MAGIC)] = _MAGIC
            content[len(_MAGIC) : len(_MAGIC) + _DIGEST] = _digest(content)
    return whole


def read_tokens(fits: bytes, state: StateFile) -> tuple[int, ...]:
    """The tokens of the state in a file, which is not read as a whole: damage may still be found in it.

    Raises `StateFailed`, `OSError`.
    """
    with _opened(state) as file:
        layout = _read_layout(fits, state, file)
        file.seek(state.offset + _HEADER)
        return struct.unpack(f"<{layout.n_tokens}i", file.read(_TOKEN * layout.n_tokens))


def read_checkpoints(fits: bytes, state: StateFile) -> tuple[int, ...]:
    """After how many of the tokens there is something to go back to, ascending. As `read_tokens`."""
    with _opened(state) as file:
        return tuple(length for length, _start, _end in _read_layout(fits, state, file).checkpoints)


def restore_state(lib: Any, context: Any, fits: bytes, slot: int, state: StateFile) -> SavedSequence:
    """Read into `slot`, which is empty, what `save_state` wrote; returns what else was saved.

    Raises `StateFailed`, `OSError`. After an error `slot` may hold a part of it. An offset in a file must be one at
    which it can be mapped.
    """
    with _opened(state) as file:
        layout = _read_layout(fits, state, file)
        start = _HEADER + _TOKEN * layout.n_tokens
        with mmap.mmap(file.fileno(), layout.end, access=mmap.ACCESS_COPY, offset=state.offset) as content:
            if content[len(_MAGIC) : len(_MAGIC) + _DIGEST] != _digest(content):
                raise StateFailed(state.path, "is damaged")
            if _set_data(lib, context, slot, content, start, layout.size) != layout.size:
                raise StateFailed(state.path, "does not fit into the memory that is free")
            tokens = struct.unpack(f"<{layout.n_tokens}i", content[_HEADER:start])
            checkpoints = (
                PartialState(length, memoryview(bytearray(content[begin:end])))
                for length, begin, end in layout.checkpoints
            )
            return SavedSequence(tokens, tuple(checkpoints))


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


class _Layout(msgspec.Struct, frozen=True):
    """Where things are: `size` bytes of data behind `n_tokens`, up to the `end`. Of `checkpoints`: (tokens, begin, end)
    each. Places count from the beginning of the state."""

    n_tokens: int
    size: int
    end: int
    checkpoints: tuple[tuple[int, int, int], ...]


def _read_layout(fits: bytes, state: StateFile, file: BinaryIO) -> _Layout:
    """As the state's numbers have it, each held against how long it is. Raises `StateFailed`."""
    file.seek(state.offset)
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StateFailed(state.path, "is not a saved state")
    n_tokens, size = _NUMBERS.unpack(header[-_NUMBERS.size :])
    whole = os.fstat(file.fileno()).st_size if state.size is None else state.size
    place = _HEADER + _TOKEN * n_tokens + size
    checkpoints: list[tuple[int, int, int]] = []
    while place + _CHECKPOINT.size < whole:
        file.seek(state.offset + place)
        length, more = _CHECKPOINT.unpack(file.read(_CHECKPOINT.size))
        begin = place + _CHECKPOINT.size
        place = begin + more
        checkpoints.append((length, begin, place))
        if not (checkpoints[-2][0] if len(checkpoints) > 1 else 0) < length <= n_tokens:
            break
    if place != whole:
        raise StateFailed(state.path, "is damaged: it is not as long as it says")
    if header[len(_MAGIC) + _DIGEST : -_NUMBERS.size] != fits:
        raise StateFailed(state.path, "was saved with another model, or other cache types")
    return _Layout(n_tokens, size, whole, tuple(checkpoints))


def _digest(content: mmap.mmap) -> bytes:
    import hashlib  # with OpenSSL's, which few launches need

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
