"""What of the file system a server goes on to need: itself, its weights, the system's libraries and settings.

Knows where these lie. Refuses to know how the rest is denied.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

import runtime

_SYSTEM = tuple(
    map(
        Path,
        (
            "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/hosts",
            "/etc/resolv.conf", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/proc/self", "/proc/meminfo",
            "/proc/stat", "/proc/loadavg", "/sys/fs/cgroup", "/sys/devices/system", "/dev/urandom",
        ),
    )
)  # fmt: skip
_NAMES_AND_AUTHORITIES = tuple(
    map(
        Path,
        (
            "/etc/gai.conf", "/etc/host.conf", "/etc/services", "/etc/protocols", "/run/systemd/resolve",
            "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs",
            "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust", "/etc/ca-certificates", "/var/lib/ca-certificates",
        ),
    )
)  # fmt: skip
"""What is looked into before a connection to somebody on the internet is trusted, wherever a system has it."""

_NOWHERE = Path("/dev/null")


class Places(msgspec.Struct, frozen=True):
    """Files, and folders with all that is in them. What is `writable` is readable, too."""

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    removable: tuple[Path, ...] = ()


class Named(msgspec.Struct, frozen=True):
    """What this server's flags name, besides what every server needs.

    Its `weights`; files that are `read_anew` when it is told to; a folder of `pictures`, and those that
    states are `kept` in; its `sockets`, which are removed in the end. `fetches` from the internet.
    """

    weights: tuple[Path, ...]
    read_anew: tuple[Path, ...] = ()
    pictures: Path | None = None
    kept: tuple[Path, ...] = ()
    sockets: tuple[Path, ...] = ()
    fetches: bool = False


def places(named: Named) -> Places:
    """For a server that has to do with what is `named`."""
    readable = [*_SYSTEM, *_program(), *named.weights]
    for file in named.read_anew:
        readable += _around(file)
    if named.pictures is not None:
        readable.append(named.pictures)
    if named.fetches:
        readable += _NAMES_AND_AUTHORITIES
        readable += [Path(os.environ[name]) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
        readable += _around(Path("/etc/resolv.conf").resolve())
    return Places(tuple(readable), (_NOWHERE, *named.kept), tuple(one.absolute().parent for one in named.sockets))


def _program() -> Iterator[Path]:
    """Where Python finds modules, those of a pack too, and the folders around what is frozen, or around the source."""
    yield Path(sys.executable).resolve().parent
    yield Path(runtime.__file__).resolve().parent.parent
    yield from {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, *filter(None, sys.path))} - {Path("/")}


def _around(file: Path) -> Iterator[Path]:
    """The file, and the folders in which another may take its place: where its name is, and where that leads to."""
    yield file
    yield from {file.absolute().parent, file.resolve().parent} - {Path("/"), Path("/etc")}
