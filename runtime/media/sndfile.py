"""libsndfile, which decodes sounds: the few of its functions that reading takes, by their C interface.

It is the library that the package `soundfile` brings, without that package's own code, which asks for numpy. Loaded
when the first sound is decoded. Refuses to know how much of a sound is wanted.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from runtime.machine.c_library import own_c_library

_PACKAGE = "_soundfile_data"
_READ = 0x10

_FORMATS = frozenset({0x010000, 0x130000, 0x220000, 0x170000, 0x200000, 0x230000})
"""SF_FORMAT_WAV, WAVEX, RF64, FLAC, OGG and MPEG (sndfile.h): it knows twenty more, which nobody sends."""

_FORMAT_OF = 0x0FFF0000
"""SF_FORMAT_TYPEMASK."""

_UNKNOWN = 1 << 62
"""Frames: what streams without a length say is more (SF_COUNT_MAX)."""


class NotDecoded(Exception):
    """In libsndfile's words why not."""


class Opened:
    """A sound that is being read: `n_channels` values make up a frame, of which there are `rate` a second.

    `n_frames` is what the file claims, None: it does not say.
    """

    def __init__(self, library: Any, handle: Any, info: _Info) -> None:
        self._library = library
        self._handle = handle
        self.rate: int = info.samplerate
        self.n_channels: int = info.channels
        self.n_frames: int | None = info.frames if 0 <= info.frames < _UNKNOWN else None

    def read(self, n_frames: int) -> bytes:
        """The next so many frames, or fewer at the end: 32-bit floats, a whole sound's from -1 to 1."""
        values = (ctypes.c_float * (n_frames * self.n_channels))()
        n_read = self._library.sf_readf_float(self._handle, values, n_frames)
        return bytes(memoryview(values).cast("B")[: 4 * n_read * self.n_channels])


@contextmanager
def opened(data: bytes) -> Iterator[Opened]:
    """The sound in `data`; one at a time. Raises `NotDecoded`, `OSError` where there is no libsndfile."""
    library = _loaded()
    with _silence(), _opened(library, data) as sound:
        yield sound


@contextmanager
def _opened(library: Any, data: bytes) -> Iterator[Opened]:
    info = _Info()
    file = os.memfd_create("sound", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as copy:
            copy.write(data)
        os.lseek(file, 0, os.SEEK_SET)
        handle = library.sf_open_fd(file, _READ, ctypes.byref(info), False)
        if not handle:
            raise NotDecoded(library.sf_strerror(None).decode(errors="replace").strip().rstrip("."))
        try:
            if info.format & _FORMAT_OF not in _FORMATS:
                raise NotDecoded("it is of a kind that is not decoded here")
            yield Opened(library, handle, info)
        finally:
            library.sf_close(handle)
    finally:
        os.close(file)


@contextmanager
def _silence() -> Iterator[None]:
    """What C writes to standard error in this block goes nowhere: libmpg123 tells there of each byte that is wrong.

    Python has a stream of its own, which is left alone.
    """
    nowhere = _nowhere()
    stream = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    before = stream.value
    stream.value = nowhere or before
    try:
        yield
    finally:
        stream.value = before


@cache
def _nowhere() -> int | None:
    """A stream of C's (FILE *), None where there is none to be had."""
    fopen = ctypes.CDLL(None).fopen
    fopen.restype = ctypes.c_void_p
    return fopen(os.fsencode(os.devnull), b"w")  # type: ignore[no-any-return]


class _Info(ctypes.Structure):
    """SF_INFO."""

    _fields_ = (
        ("frames", ctypes.c_int64),
        ("samplerate", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("format", ctypes.c_int),
        ("sections", ctypes.c_int),
        ("seekable", ctypes.c_int),
    )


@cache
def _loaded() -> Any:
    import importlib

    folder = Path(str(importlib.import_module(_PACKAGE).__file__)).parent
    if own_c_library() is not None:
        for part in folder.glob("libmvec.so.*"):  # of glibc, which the file brings without what nothing else asks for
            ctypes.CDLL(str(part))
    library = ctypes.CDLL(str(next(folder.glob("libsndfile*.so"))))
    library.sf_open_fd.restype = ctypes.c_void_p
    library.sf_open_fd.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.POINTER(_Info), ctypes.c_int]
    library.sf_readf_float.restype = ctypes.c_int64
    library.sf_readf_float.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_float), ctypes.c_int64]
    library.sf_close.argtypes = [ctypes.c_void_p]
    library.sf_strerror.restype = ctypes.c_char_p
    library.sf_strerror.argtypes = [ctypes.c_void_p]
    return library
