"""A file from the network: whole and verified, or not there.

It comes into `NAME.part`, which is renamed once it is whole and its digest right. A `.part` that an interruption left
is gone on with where the server says, by its ETag, that the file is still the same. Of two processes that want the same
file one fetches it, and the other waits and finds it. Refuses to know which file it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

import msgspec

from runtime.fetching.errors import Damaged, FetchFailed, NoRoom
from runtime.fetching.web import Refused, Unreachable, open_url, shown

_ATTEMPTS = 5
PAUSE = 1.0
"""Seconds before the second attempt, twice as long before each further one."""

_CHUNK = 1024 * 1024
TRY_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Statuses of a server that may answer better in a moment."""

_MAGIC = b"GGUF"

Report = Callable[[int, int], None]
"""Called with the bytes that are there, and those that it will be."""


class Download(msgspec.Struct, frozen=True):
    """What to fetch, and where to. `size` in bytes, `sha256` in hex, where they are known; `token` as in `open_url`."""

    url: str
    target: Path
    size: int | None = None
    sha256: str = ""
    token: str = ""


def fetch(wanted: Download, report: Report) -> Path:
    """The file, fetched first where it is not there. Raises `FetchFailed`, `Damaged`, `NoRoom`, `OSError`."""
    part = wanted.target.with_name(f"{wanted.target.name}.part")
    while not wanted.target.is_file():
        wanted.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go of when the file is closed, so when the process ends, too
            if not wanted.target.is_file() and _is_at(part, file):
                _fetch_all(wanted, part, file, report)
                part.rename(wanted.target)
                _etag_of(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)  # made by who waited
    return wanted.target


def refused(what: str, status: int) -> FetchFailed:
    """What a status other than success means for `what`."""
    if status in (401, 403):
        return FetchFailed(
            what,
            f"the server answers {status}: there is no such thing, or not for everybody",
            "For models that ask for a login, set HF_TOKEN to a token of somebody who may have them.",
        )
    if status in (404, 410):
        return FetchFailed(what, "there is no such file", "Check the name.")
    return FetchFailed(what, f"the server answers {status}", "Check the address, or try again later.")


def _fetch_all(wanted: Download, part: Path, file: IO[bytes], report: Report) -> None:
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            _go_on(wanted, part, file, report)
            break
        except Refused as error:
            if error.status == 416:  # what is there is no beginning of what the server has
                file.truncate(0)
            elif error.status not in TRY_AGAIN:
                raise refused(shown(wanted.url), error.status) from error
            reason = str(error)
        except Unreachable as error:
            reason = str(error)
    else:
        raise FetchFailed(shown(wanted.url), reason, "What has come is kept: the same command goes on.")
    _check(wanted, part, file)


def _go_on(wanted: Download, part: Path, file: IO[bytes], report: Report) -> None:
    """Fetch what `file` lacks, or all of it where the server does not have the same any more.

    Raises `Unreachable`, `Refused`, `FetchFailed`, `NoRoom`.
    """
    have = file.seek(0, 2)
    if wanted.size is not None and have == wanted.size:
        return
    etag = _etag_of(part).read_text(encoding="ascii") if have and _etag_of(part).is_file() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if etag else {}
    with open_url(wanted.url, {"Accept-Encoding": "identity", **headers}, wanted.token) as answer:
        begin = have if answer.status == 206 else 0
        length = _length(wanted, answer)
        total = begin + length
        if wanted.size not in (None, total):
            raise FetchFailed(
                shown(wanted.url),
                f"{total:,} bytes are to come, and it should be {wanted.size:,}",
                "Try again later: it is being changed, or something on the way is at fault (a proxy, a mirror).",
            )
        free = shutil.disk_usage(part.parent).free
        if length > free + have - begin:
            raise NoRoom(part.parent, free, length)
        file.truncate(begin)
        tag = answer.headers.get("ETag", "")
        _etag_of(part).write_text(tag if tag.isascii() and not tag.startswith("W/") else "", encoding="ascii")
        _receive(answer, file, begin, total, report)


def _length(wanted: Download, answer: Any) -> int:
    """How many bytes are to come. Raises `FetchFailed` where the server does not say."""
    length = answer.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise FetchFailed(
            shown(wanted.url),
            "the server does not say how large it is",
            "Download it first, and name the file: -m FILE.",
        )
    return int(length)


def _receive(answer: Any, file: IO[bytes], begin: int, total: int, report: Report) -> None:
    received = begin
    report(received, total)
    try:
        while received < total and (chunk := answer.read(min(_CHUNK, total - received))):
            file.write(chunk)
            received += len(chunk)
            report(received, total)
    except (OSError, HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    finally:
        file.flush()
    if received < total:
        raise Unreachable(f"the connection was cut after {received:,} of {total:,} bytes")


def _check(wanted: Download, part: Path, file: IO[bytes]) -> None:
    """Raises `Damaged`, and deletes what is not what it should be, so that the next try begins anew."""
    file.seek(0)
    digest, reason = hashlib.sha256(), ""
    if file.read(len(_MAGIC)) != _MAGIC:
        reason = "what came is no GGUF"
    elif wanted.sha256:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        reason = "" if digest.hexdigest() == wanted.sha256 else "what came does not have the checksum it should"
    if reason:
        part.unlink()
        _etag_of(part).unlink(missing_ok=True)
        raise Damaged(shown(wanted.url), reason)


def _is_at(part: Path, file: IO[bytes]) -> bool:
    """Whether the open file is still there: who was waited for may have renamed or deleted it."""
    try:
        return os.path.samestat(part.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _etag_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")
