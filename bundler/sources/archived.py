"""Weights inside other files: our own bundles, and llamafiles. They are used where they lie, and their defaults kept.

A llamafile is a program with a ZIP archive behind it: the weights, stored without compression, and `.args`, the
arguments it starts with, among them the name of the weights.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from bundler.errors import SourceNotFound
from bundler.file.baked import Baked, Part, baked_in
from bundler.sources.resolved import Resolved
from runtime.bundle import Span, check_beside, check_has_models, open_bundle, span_of

_MAX_ARGS = 1024 * 1024

_NAMES_A_FILE = re.compile(r"""(?<!\S)(?:-m|--model|--mmproj|-mm)\s+('[^']*'|"(?:[^"\\]|\\.)*"|\S+)""")
"""Arguments of a llamafile that name weights inside it, which will have other names here."""


def from_bundle(path: Path) -> Resolved:
    """The model of a bundle, with all that is baked into it. Raises `BundleError`, `SourceNotFound`, `OSError`."""
    bundle = open_bundle(path)
    check_has_models(bundle)
    model, *others = bundle.served_models()
    if others:
        names = ", ".join(one.name for one in (model, *others))
        raise SourceNotFound(
            str(path), f"there are several models in it: {names}", "Take it apart (loaf extract), and name their files."
        )
    check_beside(bundle)
    place = bundle.place_of(model.entry)
    sha256 = next(entry.sha256 for entry in bundle.manifest.entries if entry.name == model.entry)
    return Resolved(place.path, model.name, place.offset, place.size, sha256, baked_in(bundle), model.origin)


def from_llamafile(path: Path) -> Resolved:
    """The weights of a llamafile, and its projector, with its arguments but for those that name either.

    Raises `SourceNotFound`.
    """
    with zipfile.ZipFile(path) as archive:
        args = _read_args(archive)
        entry = _weights(archive, args, path)
        projector = _named(archive, args, "--mmproj", "-mm")
        try:
            span = span_of(archive, entry)
            parts = () if projector is None else (_projector(path, projector, span_of(archive, projector)),)
        except zipfile.BadZipFile as error:
            raise SourceNotFound(str(path), f"its archive is damaged: {error}", "Download it again.") from error
    kept = _NAMES_A_FILE.sub("", args).strip()
    return Resolved(path, _name(entry), span.offset, span.size, baked=Baked(kept, parts=parts))


def _projector(path: Path, entry: zipfile.ZipInfo, span: Span) -> Part:
    return Part("projector", path, _name(entry), span.offset, span.size)


def _name(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename).stem


def _read_args(archive: zipfile.ZipFile) -> str:
    try:
        info = archive.getinfo(".args")
    except KeyError:
        return ""
    return archive.read(info).decode("utf-8", "replace") if info.file_size <= _MAX_ARGS else ""


def _weights(archive: zipfile.ZipFile, args: str, path: Path) -> zipfile.ZipInfo:
    """The entry that `.args` names with -m, else the largest GGUF."""
    found = _stored(archive)
    if not found:
        raise SourceNotFound(str(path), "there are no weights in it", "Name a .gguf file, or a llamafile that has one.")
    return _named(archive, args, "-m", "--model") or max(found, key=lambda info: info.file_size)


def _named(archive: zipfile.ZipFile, args: str, *flags: str) -> zipfile.ZipInfo | None:
    """The GGUF whose name stands behind one of `flags` in `.args`."""
    named = re.search(rf"""(?<!\S)(?:{"|".join(flags)})\s+["']?(?:/zip/)?([^\s"']+)""", args)
    if named is None:
        return None
    name = PurePosixPath(named[1]).name
    return next((info for info in _stored(archive) if PurePosixPath(info.filename).name == name), None)


def _stored(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The GGUFs that are not compressed: they can be used where they lie."""
    found = [info for info in archive.infolist() if info.filename.lower().endswith(".gguf")]
    return [info for info in found if info.compress_type == zipfile.ZIP_STORED]
