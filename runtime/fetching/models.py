"""What `-hf` and `-mu` ask for, as a file on this machine: fetched once, into the cache folder.

    models/OWNER/REPO/DIGEST/NAME.gguf      of the hub; the digest is of all parts of the model
    models/web/DIGEST/NAME.gguf             of any address, whose digest it is

Without a network, what has been fetched from a repository before is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from runtime.fetching.downloads import Download, Report, fetch
from runtime.fetching.errors import FetchFailed, NotFetched
from runtime.fetching.hub import HubFile, address_of, choose, list_files
from runtime.fetching.web import Unreachable, check_address, shown
from runtime.settings import HubModel, WebModel

HUB = "https://huggingface.co"

Announce = Callable[[str], Report]
"""Called with what is about to be fetched."""


def fetch_model(wanted: HubModel | WebModel, cache: Path, announce: Announce) -> Path:
    """The model's file, or the first of its parts. Raises `FetchFailed`, `Damaged`, `NoRoom`, `OSError`."""
    if isinstance(wanted, WebModel):
        check_address(wanted.url)
        target = _web_target(wanted, cache)
        return fetch(Download(wanted.url, target), announce(shown(wanted.url)))
    endpoint, token = os.environ.get("HF_ENDPOINT", HUB).rstrip("/"), os.environ.get("HF_TOKEN", "")
    try:
        listing = list_files(endpoint, wanted, token)
    except Unreachable as error:
        found = _fetched_before(wanted, cache)
        if found is None:
            raise FetchFailed(
                str(wanted),
                f"{endpoint} cannot be reached: {error}",
                "Check the network; HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy.",
            ) from error
        return found
    files = {file.name: file for file in listing.files}
    parts = [files[name] for name in choose(files, wanted)]
    folder = _folder_of(wanted, cache) / _digest("".join(part.sha256 for part in parts))
    for part in parts:
        name = PurePosixPath(part.name).name
        address = address_of(endpoint, wanted, listing.commit, part.name)
        fetch(_download(address, folder / name, part, token), announce(f"{name} of {wanted.repository}"))
    return folder / PurePosixPath(parts[0].name).name


def find_model(wanted: HubModel | WebModel, cache: Path) -> Path:
    """The same where it is on this machine, without asking anybody. Raises `NotFetched`."""
    if isinstance(wanted, WebModel):
        target = _web_target(wanted, cache)
        found = target if target.is_file() else None
    else:
        found = _fetched_before(wanted, cache)
    if found is None:
        raise NotFetched(str(wanted))
    return found


def _download(address: str, target: Path, part: HubFile, token: str) -> Download:
    return Download(address, target, part.size, part.sha256, token)


def _web_target(wanted: WebModel, cache: Path) -> Path:
    name = PurePosixPath(unquote(urlsplit(wanted.url).path)).name
    if not name.lower().endswith(".gguf") or not name.isprintable() or len(name.encode()) > 200 or name.startswith("."):
        raise FetchFailed(
            shown(wanted.url), "the address does not end in the name of a GGUF", "Name that of the weights themselves."
        )
    return cache / "models" / "web" / _digest(wanted.url) / name


def _folder_of(wanted: HubModel, cache: Path) -> Path:
    return cache / "models" / wanted.repository


def _fetched_before(wanted: HubModel, cache: Path) -> Path | None:
    """What was fetched last of what fits, if it is whole."""
    versions = sorted(_folder_of(wanted, cache).glob("*/"), key=lambda path: path.stat().st_mtime, reverse=True)
    for version in versions:
        try:
            return version / choose([path.name for path in version.glob("*.gguf")], wanted)[0]
        except FetchFailed:
            continue
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
