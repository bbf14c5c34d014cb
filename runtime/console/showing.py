"""Pictures and sounds in files of this machine: which of them a line means, and what stands for one in a question.

Knows how terminals write down a file that is dropped on them. Refuses to know what a model makes of either.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import unquote

import msgspec

from runtime.chat.media import taken_by, takes
from runtime.engine.backend import Projector
from runtime.media.decoding import MOST_BYTES, decode
from runtime.media.errors import MediaTooLarge, MediaUnreadable, MediaUnsupported
from runtime.media.given import Gathering
from runtime.media.kinds import KINDS, Kind
from runtime.media.sounds import decode_sound

_PICTURES = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".avif": "image/avif",
    ".gif": "image/gif", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".heic": "image/heic",
    ".heif": "image/heif",
}  # fmt: skip
_SOUNDS = {
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}  # fmt: skip
_TYPES: dict[Kind, dict[str, str]] = {"picture": _PICTURES, "sound": _SOUNDS}
"""By what names end in. It is for people and other programs: here both are known by what is in them."""

_WORDS: dict[Kind, str] = {"picture": "image", "sound": "audio"}

_WORD = re.compile(r"""\s*(?:'((?:[^']|'\\'')*)'|"([^"]*)"|((?:\\.|[^\s'"\\])+))(?=\s|$)""")
"""A path as terminals write it: in quotes of either kind, or with a backslash before what is special."""


class Dropped(msgspec.Struct, frozen=True):
    """The files that a line begins with, each with what it is, and the rest of the line."""

    files: tuple[tuple[Kind, Path], ...]
    text: str


def dropped(line: str, projector: Projector | None) -> Dropped:
    """Which files at the beginning of `line` the model takes, by their names; nothing else is taken for one."""
    files: list[tuple[Kind, Path]] = []
    place = 0
    while found := _WORD.match(line, place):
        path = _path(found)
        kind = None if path is None else _kind_of(path, projector)
        if path is None or kind is None or not path.is_file():
            break
        files.append((kind, path))
        place = found.end()
    return Dropped(tuple(files), line[place:].strip())


def show(kind: Kind, path: Path, gathering: Gathering, projector: Projector | None) -> str:
    """The mark that stands for what is in `path`, which is read now.

    Raises `MediaUnsupported`, `MediaUnreadable`, `MediaTooLarge`, `OSError`.
    """
    if projector is None or not takes(projector, kind):
        raise MediaUnsupported(str(path), _WORDS[kind], taken_by(projector))
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise MediaTooLarge(str(path), "bytes", MOST_BYTES, kind)
    try:  # told now, rather than with the question
        if kind == "sound":
            decode_sound(str(path), data, projector.sample_rate)
        else:
            decode(str(path), data)
    except MediaUnreadable as error:
        raise MediaUnreadable(str(path), error.reason, kind, is_file=True) from error
    type_ = _TYPES[kind].get(path.suffix.lower(), f"{_WORDS[kind]}/*")
    address = f"data:{type_};base64,{base64.b64encode(data).decode()}"
    return gathering.add(str(path), address, _WORDS[kind], is_now=True)


def _kind_of(path: Path, projector: Projector | None) -> Kind | None:
    """By its name, where the model takes such files."""
    ending = path.suffix.lower()
    return next((kind for kind in KINDS if ending in _TYPES[kind] and takes(projector, kind)), None)


def _path(found: re.Match[str]) -> Path | None:
    """Where it leads from the root, as what is dropped does; None where it leads from elsewhere."""
    single, double, bare = found.groups()
    if single is not None:
        text = single.replace("'\\''", "'")
    else:
        text = double if double is not None else re.sub(r"\\(.)", r"\1", bare)
    text = unquote(text.removeprefix("file://")) if text.startswith("file:///") else text
    return Path(text) if text.startswith("/") and "\0" not in text else None
