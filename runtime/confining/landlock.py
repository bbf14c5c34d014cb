"""Landlock: what the calling thread, and those that it starts from then on, may do with files; and no TCP.

The numbers are those of linux/landlock.h; what each version of it knows is in the kernel's
Documentation/userspace-api/landlock.rst. Refuses to know which places are needed.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from functools import cache
from pathlib import Path

from runtime.confining.errors import CannotConfine
from runtime.confining.places import Places

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Of every architecture alike."""

_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38  # of prctl

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8, 1 << 14
_FILE_RIGHTS = (1 << 0) | _WRITE_FILE | _READ_FILE | _TRUNCATE | (1 << 15)
_NEWEST_FILE_RIGHTS = {1: 1 << 12, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""The last right that a version came with: refer, truncate, devices' own orders."""

_BIND, _CONNECT = 1, 2
_SIGNALS = 2
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6

_READ = _READ_FILE | _READ_DIR
_KEEP = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
"""What a folder needs for files in it to be written anew and replaced."""


def version() -> int:
    """Of Landlock in this kernel; 0: there is none."""
    return max(_call(_CREATE_RULESET, None, 0, _VERSION), 0)


def confine_thread(places: Places, *, connects: bool) -> None:
    """Let this thread read, write and remove in `places`, connect where it `connects`, and no more.

    What is not there is passed over. Raises `CannotConfine`.
    """
    known = version()
    if not known:
        raise CannotConfine("this kernel has no Landlock")
    handled = (max(bit for since, bit in _NEWEST_FILE_RIGHTS.items() if since <= known) << 1) - 1
    network = (_BIND if connects else _BIND | _CONNECT) if known >= _NETWORK_SINCE else 0
    scopes = _SIGNALS if known >= _SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", handled, network, scopes)[: 24 if scopes else 16 if network else 8]
    ruleset = _checked(_call(_CREATE_RULESET, attributes, len(attributes), 0))
    try:
        for paths, rights in ((places.readable, _READ), (places.writable, _KEEP), (places.removable, _REMOVE_FILE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        _checked(_libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # nobody can use it anyhow
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FILE_RIGHTS
        _checked(_call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0))
    finally:
        os.close(fd)


def _call(number: int, *arguments: bytes | int | None) -> int:
    """A system call; -1 where it fails."""
    given = [argument if not isinstance(argument, int) else ctypes.c_long(argument) for argument in arguments]
    return int(_libc().syscall(ctypes.c_long(number), *given))


def _checked(result: int) -> int:
    if result < 0:
        raise CannotConfine(os.strerror(ctypes.get_errno()))
    return result


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
