"""The bytes of what a request brought: in it, or where it says they are."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from runtime.media.errors import MediaRefused, MediaUnreadable
from runtime.media.given import Given

_DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_BEGINNING = 512
"""Characters in which a data URI's header ends."""


def bytes_of(given: Given) -> bytes:
    """The file. Raises `MediaUnreadable`, `MediaRefused`."""
    text = given.source
    begin = _DATA_URI.match(text[:_BEGINNING])
    if begin is not None:
        if begin[2].lower().endswith(";base64"):
            return _decoded(given.field, text[begin.end() :])
        return unquote_to_bytes(text[begin.end() :])
    if _ADDRESS.match(text[:_BEGINNING]):
        raise MediaRefused(given.field, "pictures are not fetched from addresses by this server")
    return _decoded(given.field, text)


def _decoded(field: str, text: str) -> bytes:
    """Base64 in either alphabet, with line ends or without, padded or not."""
    try:
        data = text.translate(_PLAIN).encode("ascii").rstrip(b"=")
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MediaUnreadable(field, "it is neither base64 nor a data URI") from error


_PLAIN = str.maketrans("-_", "+/", " \t\r\n")
