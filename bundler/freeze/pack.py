"""Packs a folder into a tar.gz that is the same every time, and reads from it what it asks of a system.

Knows tar, gzip and the names of glibc's symbol versions. Refuses to know what is in the folder.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

COMPRESSION = 12
"""libdeflate's best. It takes 4 % less room than zlib's best, and is as quick to unpack."""

_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)\b")
_ELF = b"\x7fELF"


def pack(folder: Path, archive: Path, advance: Callable[[int], None]) -> None:
    """Writes the content of `folder` to `archive`, sorted by name and without times, owners or odd modes.

    The format is GNU tar without extended headers, which busybox unpacks as well. `advance` is called with
    the size of each file packed, in bytes.
    """
    from deflate import gzip_compress  # here, since scripts/setup imports this package with a Python that has nothing

    with tempfile.TemporaryFile(dir=archive.parent) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(folder.rglob("*")):
                member = _plain(tar.gettarinfo(path, str(path.relative_to(folder))), path)
                if member.isreg():
                    with path.open("rb") as content:
                        tar.addfile(member, content)
                    advance(member.size)
                else:
                    tar.addfile(member)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            archive.write_bytes(gzip_compress(whole, COMPRESSION))


def unpacked_size(folder: Path) -> int:
    """The bytes of all files in `folder`, symlinks not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def content_of(folder: Path, without: Collection[str] = ()) -> str:
    """A hash of every file in `folder`, its name and its bytes, but for Python's caches and the paths in `without`."""
    digest = hashlib.sha256()
    left_out = [folder / name for name in without]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and not any(map(path.is_relative_to, left_out)):
            digest.update(f"{path.relative_to(folder)}={sha256_of(path)}\n".encode())
    return digest.hexdigest()


def needed_glibc(folder: Path, without: str = "") -> str:
    """The oldest glibc that has every symbol version which the ELF files in `folder` name: "2.34".

    A library's own definitions are not told from its needs; only glibc's own files define `GLIBC_x.y`: they lie in the
    folder `without`, which is not looked into. "2.0" when nothing is asked for.
    """
    versions = {(2, 0)}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.relative_to(folder).parts[0] != without:
            versions |= _glibc_versions(path.read_bytes())
    return ".".join(map(str, max(versions)))


def _glibc_versions(content: bytes) -> set[tuple[int, int]]:
    if not content.startswith(_ELF):
        return set()
    return {(int(major), int(minor)) for major, minor in _GLIBC.findall(content)}


def _plain(member: tarfile.TarInfo, path: Path) -> tarfile.TarInfo:
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    executable = path.is_dir() or os.access(path, os.X_OK)
    member.mode = 0o755 if executable else 0o644
    if member.islnk():  # two names of one inode here are two files there
        member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size
    return member
