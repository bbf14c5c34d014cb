"""What of the file system a server goes on to need: itself, its weights, the system's libraries and settings.

Knows where these lie. Refuses to know how the rest is denied.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

import runtime

_SYSTEM = tuple(
    map(
        Path,
        (
            "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/hosts",
            "/etc/resolv.conf", "/etc/ssl/openssl.cnf", "/proc/self", "/proc/meminfo", "/proc/stat", "/proc/loadavg",
            "/sys/fs/cgroup", "/sys/devices/system", "/dev/urandom",
        ),
    )
)  # fmt: skip
_NOWHERE = Path("/dev/null")


class Places(msgspec.Struct, frozen=True):
    """Files, and folders with all that is in them. What is `writable` is readable, too."""

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    removable: tuple[Path, ...] = ()


def places(weights: Iterable[Path], read_anew: Iterable[Path], slots: Path | None, sockets: Iterable[Path]) -> Places:
    """For a server of `weights`, that keeps states in `slots`, and removes its `sockets` when it ends.

    Files that are `read_anew` may be others by then: what matters is the folder.
    """
    own = {Path(sys.executable).resolve().parent, Path(runtime.__file__).resolve().parent.parent}
    own |= {Path(prefix) for prefix in (sys.prefix, sys.base_prefix)} - {Path("/")}
    folders = [file.resolve().parent for file in read_anew]
    kept = [slots] if slots is not None else []
    return Places(
        (*_SYSTEM, *own, *weights, *folders), (_NOWHERE, *kept), tuple(one.absolute().parent for one in sockets)
    )
