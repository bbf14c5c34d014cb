"""Weights at an address. They are kept in the download store, so the same address is fetched once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bundler.errors import Found, SourceNotFound
from bundler.progress import Progress
from bundler.sources.file import model_name
from bundler.sources.resolved import Resolved
from bundler.store.cache import key_of
from bundler.store.downloads import Download, fetch, look_at


def resolve(url: str, progress: Progress) -> Resolved:
    """The GGUF at `url`. Raises `SourceNotFound`, `DownloadFailed`, `CacheFull`, `CacheUnusable`."""
    name = _name(url)
    path = fetch(_download(url, name), progress)
    return Resolved(path, model_name(Path(name)), origin=_without_secrets(url))


def offered(url: str) -> list[Found] | Path:
    """What is at `url`, with its size in bytes; the file itself where it has been fetched. Raises as `resolve` does."""
    there = look_at(_download(url, _name(url)))
    return there if isinstance(there, Path) else [Found(_without_secrets(url), there)]


def _name(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not name.lower().endswith(".gguf"):
        raise SourceNotFound(url, "this address does not end in .gguf", "Name the address of the weights themselves.")
    return name


def _download(url: str, name: str) -> Download:
    return Download(url, f"{key_of(url=url)}-{name}")


def _without_secrets(url: str) -> str:
    """The address without a password and without the query, where tokens hide."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
