"""Files from the network, kept in the download store: whole and verified, or not there.

A download goes into `NAME.part`; once it is whole and its digest right, it is renamed to `NAME`. A `.part` that an
interruption left behind is gone on with where the server says, by its ETag, that the file is still the same. Two
processes that want the same file: one holds the lock and downloads, the other waits and finds it.

Refuses to know what the files are.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx2

from bundler.errors import CacheFull, DigestMismatch, DownloadFailed, SourceNotFound
from bundler.progress import Progress
from bundler.store.cache import build_cache
from bundler.store.locking import locked
from runtime import __version__

_ATTEMPTS = 5
_PAUSE = 1.0  # seconds before the second attempt, twice as long before each further one
_TIMEOUT = httpx2.Timeout(30.0)
_CHUNK = 1024 * 1024
_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Download:
    """What to fetch, and the name it is kept under. `sha256` in hex and `size` in bytes, where they are known."""

    url: str
    name: str
    sha256: str | None = None
    size: int | None = None


def fetch(wanted: Download, progress: Progress) -> Path:
    """The file in the store, downloaded first when it is not there.

    Raises `SourceNotFound`, `DownloadFailed`, `DigestMismatch`, `CacheFull`, `OSError`.
    """
    target = download_store() / wanted.name
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if not target.is_file():
            _download(wanted, target, progress)
    return target


def look_at(wanted: Download) -> int | Path:
    """Where it is: the file in the store, or the bytes that the server has and that have not been fetched.

    Raises `SourceNotFound`, `DownloadFailed`.
    """
    target = download_store() / wanted.name
    if target.is_file():
        return target
    shown = wanted.url.partition("?")[0]
    try:
        with new_client() as client, client.stream("GET", wanted.url) as answer:
            if answer.status_code != 200:
                raise request_failed(wanted.url, answer.status_code)
            length = answer.headers.get("Content-Length", "")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _failed(wanted.url, error) from error
    if not (length.isascii() and length.isdigit()):
        raise DownloadFailed(shown, "the server does not say how large it is")
    return int(length)


def download_store() -> Path:
    """Where downloads are kept: a folder of the build cache."""
    return build_cache() / "downloads"


def new_client() -> httpx2.Client:
    """For requests that follow redirects and do not wait for ever."""
    return httpx2.Client(
        follow_redirects=True,
        timeout=_TIMEOUT,
        headers={"User-Agent": f"loaf/{__version__}", "Accept-Encoding": "identity"},
    )


def ask(url: str, accept: str) -> httpx2.Response:
    """What the server answers to one request, of any status. Raises `DownloadFailed` where no answer comes."""
    try:
        with new_client() as client:
            return client.get(url, headers={"Accept": accept})
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _failed(url, error) from error


def request_failed(url: str, status: int) -> SourceNotFound | DownloadFailed:
    """What a status other than success means."""
    shown = url.partition("?")[0]
    if status in (401, 403):
        return SourceNotFound(shown, f"the server answers {status}: this file may not be read", "It may need a login.")
    if status in (404, 410):
        return SourceNotFound(shown, "there is no such file", "Check the address.")
    return DownloadFailed(shown, f"the server answers {status}")


def _download(wanted: Download, target: Path, progress: Progress) -> None:
    part = target.with_name(target.name + ".part")
    failed: DownloadFailed | None = None
    with new_client() as client:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE * 2 ** (attempt - 1))
            try:
                _go_on(client, wanted, part, progress)
                break
            except httpx2.TransportError as error:  # what is there is gone on with
                failed = _failed(wanted.url, error)
            except _Unfinished as error:
                failed = DownloadFailed(wanted.url.partition("?")[0], error.reason)
        else:
            assert failed is not None
            raise failed
    _check(wanted, part)
    part.rename(target)
    _etag_file(part).unlink(missing_ok=True)


class _Unfinished(Exception):
    """The server wants to be asked again, or has broken off."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _go_on(client: httpx2.Client, wanted: Download, part: Path, progress: Progress) -> None:
    """Fetch what `part` lacks, or all of it where the server does not have the same file any more."""
    have = part.stat().st_size if part.is_file() else 0
    etag = _read(_etag_file(part))
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have and etag else {}
    with client.stream("GET", wanted.url, headers=headers) as answer:
        if answer.status_code == 416 and have:  # nothing is missing, or it is another file now: `_check` tells
            return
        if answer.status_code in _TRY_AGAIN:
            raise _Unfinished(f"the server answers {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise request_failed(wanted.url, answer.status_code)
        begin = have if answer.status_code == 206 else 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = begin + length if length else wanted.size
        _check_room(part, length)
        tag = answer.headers.get("ETag", "")
        _etag_file(part).write_text(tag if not tag.startswith("W/") else "", encoding="utf-8")
        with (
            part.open("r+b" if begin else "wb") as file,
            progress.step(f"Downloading {wanted.name}", total, "bytes") as advance,
        ):
            file.seek(begin)
            advance(begin)
            received = 0
            for chunk in answer.iter_raw():  # as it comes: what has come stays when the rest does not
                file.write(chunk)
                received += len(chunk)
                advance(len(chunk))
        if length and received < length:
            raise _Unfinished(f"the connection was cut after {begin + received:,} of {total:,} bytes")


def _check(wanted: Download, part: Path) -> None:
    """Raises `DigestMismatch`, and deletes what is not what it should be, so that the next try begins anew."""
    size = part.stat().st_size
    digest = _digest(part) if wanted.sha256 else None
    if (wanted.size is not None and size != wanted.size) or digest != wanted.sha256:
        part.unlink()
        _etag_file(part).unlink(missing_ok=True)
        hint = "The download was deleted: try again. If it stays so, the server or something on the way is at fault."
        raise DigestMismatch(wanted.url.partition("?")[0], hint)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return _sha256(file)


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise CacheFull(part.parent, free, needed)


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _failed(url: str, error: Exception) -> DownloadFailed:
    return DownloadFailed(url.partition("?")[0], _told(error), no_network=_has_no_network(error))


def _has_no_network(error: BaseException | None) -> bool:
    """Whether beneath a transport error the name cannot be found, or there is no way to its address."""
    while error is not None:
        if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno in _NO_WAY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _told(error: Exception) -> str:
    """What a transport error says, without the number that the system has for it."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
