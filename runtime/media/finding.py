"""The bytes of what a request brought: in it, or where it says they are, as far as they are fetched from there."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from runtime.media.decoding import MOST_BYTES
from runtime.media.errors import MediaRefused, MediaTooLarge, MediaUnreadable
from runtime.media.given import Given
from runtime.settings import MediaSources

_DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_BEGINNING = 512
"""Characters in which a data URI's header ends."""


def bytes_of(given: Given, sources: MediaSources) -> bytes:
    """The file; may take seconds. Raises `MediaUnreadable`, `MediaRefused`, `MediaTooLarge`."""
    text = given.source
    begin = _DATA_URI.match(text[:_BEGINNING])
    if begin is not None:
        if begin[2].lower().endswith(";base64"):
            return _decoded(given.field, text[begin.end() :])
        return unquote_to_bytes(text[begin.end() :])
    address = _ADDRESS.match(text[:_BEGINNING])
    if address is not None:
        return _fetched(given.field, address[1].lower(), text, sources)
    return _decoded(given.field, text)


def _fetched(field: str, scheme: str, text: str, sources: MediaSources) -> bytes:
    if scheme == "file" and sources.folder is not None:
        return _read(field, text, sources.folder)
    if scheme in ("http", "https") and sources.urls:
        from runtime.media.downloading import download  # most servers fetch nothing, and HTTP takes long to import

        return download(field, text)
    flag = {"file": "--media-path", "http": "--media-urls", "https": "--media-urls"}.get(scheme)
    hint = f"Send the file itself, as a data URI{f'; the server fetches with {flag}' if flag else ''}."
    raise MediaRefused(field, "files are not fetched from such addresses by this server", hint)


def _read(field: str, url: str, folder: Path) -> bytes:
    """A file below `folder`, wherever links lead."""
    root = folder.resolve()
    try:
        parts = urlsplit(url)
        path = Path(os.fsdecode(unquote_to_bytes(parts.path))).resolve()
        if parts.netloc not in ("", "localhost") or not path.is_relative_to(root) or not path.is_file():
            raise MediaRefused(field, "there is no such file below the folder that files are read from")
        if path.stat().st_size > MOST_BYTES:
            raise MediaTooLarge(field, "bytes", MOST_BYTES)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise MediaRefused(field, "the file cannot be read") from error


def _decoded(field: str, text: str) -> bytes:
    """Base64 in either alphabet, with line ends or without, padded or not."""
    try:
        data = text.translate(_PLAIN).encode("ascii").rstrip(b"=")
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MediaUnreadable(field, "it is neither base64 nor a data URI") from error


_PLAIN = str.maketrans("-_", "+/", " \t\r\n")
