"""Pictures that lie in files of this machine: which of them a line means, and what stands for one in a question.

Knows how terminals write down a file that is dropped on them. Refuses to know what a model makes of a picture.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import unquote

import msgspec

from runtime.media.decoding import MOST_BYTES, decode
from runtime.media.errors import MediaTooLarge
from runtime.media.given import Gathering

_TYPES = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".avif": "image/avif",
    ".gif": "image/gif", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".heic": "image/heic",
    ".heif": "image/heif",
}  # fmt: skip
"""By what pictures' names end in. It is for people and other programs: here a picture is known by what is in it."""

_WORD = re.compile(r"""\s*(?:'((?:[^']|'\\'')*)'|"([^"]*)"|((?:\\.|[^\s'"\\])+))(?=\s|$)""")
"""A path as terminals write it: in quotes of either kind, or with a backslash before what is special."""


class Dropped(msgspec.Struct, frozen=True):
    """The pictures that a line begins with, and the rest of it."""

    paths: tuple[Path, ...]
    text: str


def dropped(line: str) -> Dropped:
    """Which files at the beginning of `line` are pictures by their names; nothing else is taken for one."""
    paths: list[Path] = []
    place = 0
    while found := _WORD.match(line, place):
        path = _path(found)
        if path is None or path.suffix.lower() not in _TYPES or not path.is_file():
            break
        paths.append(path)
        place = found.end()
    return Dropped(tuple(paths), line[place:].strip())


def show(path: Path, gathering: Gathering) -> str:
    """The mark that stands for the picture in `path`, which is read now.

    Raises `MediaUnreadable`, `MediaTooLarge`, `OSError`.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise MediaTooLarge(str(path), "bytes", MOST_BYTES)
    decode(str(path), data)  # told now, rather than with the question
    address = f"data:{_TYPES.get(path.suffix.lower(), 'image/*')};base64,{base64.b64encode(data).decode()}"
    return gathering.add(str(path), address, "image", is_now=True)


def _path(found: re.Match[str]) -> Path | None:
    """Where it leads from the root, as what is dropped does; None where it leads from elsewhere."""
    single, double, bare = found.groups()
    if single is not None:
        text = single.replace("'\\''", "'")
    else:
        text = double if double is not None else re.sub(r"\\(.)", r"\1", bare)
    text = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    return Path(text) if text.startswith("/") and "\0" not in text else None
