"""Weights at an address. They are kept in the download store, so the same address is fetched once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bundler.errors import SourceNotFound
from bundler.progress import Progress
from bundler.sources.file import model_name
from bundler.sources.resolved import Resolved
from bundler.store.cache import key_of
from bundler.store.downloads import Download, fetch


def resolve(url: str, progress: Progress) -> Resolved:
    """The GGUF at `url`. Raises `SourceNotFound`, `DownloadFailed`, `CacheFull`, `CacheUnusable`."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not name.lower().endswith(".gguf"):
        raise SourceNotFound(url, "this address does not end in .gguf", "Name the address of the weights themselves.")
    path = fetch(Download(url, f"{key_of(url=url)}-{name}"), progress)
    return Resolved(path, model_name(Path(name)), origin=_without_secrets(url))


def _without_secrets(url: str) -> str:
    """The address without a password and without the query, where tokens hide."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
