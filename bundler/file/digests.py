"""What parts come to, held against what they should; remembered, so that bundling a file again need not hash it again.

A file is known by its device, inode, size and times: who changes it changes those. One whose times are younger than a
moment is not remembered, since it could still change within the same tick of the clock. What is remembered lies in the
build cache; losing it costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from isal.isal_zlib import crc32 as crc32_of

from bundler.errors import AnotherDigest, DigestMismatch
from bundler.file.content import Content, FileRange
from bundler.file.copying import Advance, Digests, copy, read
from bundler.file.plan import PlannedPart
from bundler.file.replacing import replacing
from bundler.store.cache import build_cache

_MOST = 1000
_SETTLED_SECONDS = 2.0


def digests_of(content: Content, advance: Callable[[int], None]) -> Digests:
    """What `content` comes to: recalled, or computed and remembered. Raises `SourceChanged`, `OSError`."""
    known = recall(content)
    if known is None:
        sha256, crc32 = hashlib.sha256(), 0
        for chunk in read(content):
            sha256.update(chunk)
            crc32 = crc32_of(chunk, crc32)
            advance(len(chunk))
        known = Digests(sha256.hexdigest(), crc32)
        remember(content, known)
    return known


def copied(part: PlannedPart, fd: int, offset: int, advance: Advance) -> Digests:
    """Copy `part` into `fd` at `offset`; what it comes to, computed only where nobody knew it, remembered and checked.

    Raises `DigestMismatch`, `AnotherDigest`, `SourceChanged` when a file turns out shorter than it was, and `OSError`
    when it cannot be read or written (a full disk among others).
    """
    known = part.known or recall(part.content)
    digests = copy(part.content, fd, offset, advance, known)
    check_digest(part, digests.sha256)
    if known is None:
        remember(part.content, digests)
    return digests


def check_digest(part: PlannedPart, sha256: str) -> None:
    """Raises `DigestMismatch`, `AnotherDigest` where `sha256`, in hex, is not what `part` must come to."""
    if part.stated not in (None, sha256):
        hint = "Delete what the source holds of it, and fetch it again (loaf verify tells of a bundle which part)."
        raise DigestMismatch(part.origin or part.name, hint)
    if part.wanted not in (None, sha256):
        raise AnotherDigest(part.name, part.wanted, sha256)


def recall(content: Content) -> Digests | None:
    """What `content` is known to come to: one piece of a file that has been hashed before, and not changed since."""
    key = _key(content)
    return _load().get(key) if key else None


def remember(content: Content, digests: Digests) -> None:
    """Keep it for the next time, where that is safe."""
    key = _key(content)
    if key is None:
        return
    known = {**_load(), key: digests}
    kept = dict(list(known.items())[-_MOST:])
    with contextlib.suppress(OSError):  # a cache that cannot be written to
        _file().parent.mkdir(parents=True, exist_ok=True)
        with replacing(_file(), 0o600) as fd, os.fdopen(os.dup(fd), "wb") as file:
            file.write(msgspec.json.encode(kept))


def _key(content: Content) -> str | None:
    if len(content) != 1 or not isinstance(content[0], FileRange):
        return None
    piece = content[0]
    status = Path(piece.path).stat()
    if time.time() - max(status.st_mtime, status.st_ctime) < _SETTLED_SECONDS:
        return None
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return "-".join(map(str, (*identity, piece.offset, piece.size)))


def _load() -> dict[str, Digests]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Digests])
    except (OSError, msgspec.DecodeError):
        return {}


def _file() -> Path:
    return build_cache() / "digests.json"
