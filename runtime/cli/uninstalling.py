"""`--uninstall`: what this file has unpacked for this user is taken away, and said.

Knows which of the cache folder's entries are this file's. All is imported before anything goes, since the program that
runs is among it. Refuses to delete the file itself, and what others have unpacked (`loaf clean`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runtime.bundle import Bundle
from runtime.machine.unpacked import is_used, mapped_files, size_of, take_away, unpacked_in


def uninstall(bundle: Bundle, cache: Path, *, unpacked_now: bool = False) -> Iterator[str]:
    """Lines for people, as it goes: the program last. What another process uses stays. Raises `OSError`.

    `unpacked_now`: the program was not there before this very call, which had to unpack it to run it.
    """
    names = _names(bundle)
    mapped = mapped_files(besides=os.getpid())
    ours = [path for path in unpacked_in(cache) if path.name in names]
    stays = False
    for path in sorted(ours, key=lambda path: path.name.startswith("core-")):
        size, what = size_of(path), names[path.name]
        if is_used(path, mapped):
            stays = True
            yield f"stays    {_megabytes(size)}  {path}: {what}, which another process runs just now"
            continue
        take_away(path)
        why = ", which only this call had unpacked" if unpacked_now and path.name.startswith("core-") else ""
        yield f"removed  {_megabytes(size)}  {path}: {what}{why}"
    if unpacked_now and len(ours) == 1:
        yield f"Nothing else of this file was in {cache}."
    if not ours:
        yield f"Nothing of this file is in {cache}."
    if stays:
        yield "End what runs (other files may share the program), and do it again."
    models = cache / "models"
    if fetched := size_of(models):
        yield f"Weights that -hf and -mu have fetched stay, for all files: {_megabytes(fetched).strip()} in {models}."
    yield f"The file itself is all that is left of it: {bundle.path.resolve()}"


def _names(bundle: Bundle) -> dict[str, str]:
    """Folders of the cache by their names, which the launcher and `backends/unpacking.py` give, and what is in them."""
    manifest = bundle.manifest
    digests = {entry.name: entry.sha256[:16] for entry in manifest.entries}
    found = {f"core-{digests[one.entry]}": f"the program for {one.platform}" for one in manifest.runtimes}
    found |= {f"{one.backend}-{digests[one.entry]}": f"the {one.backend} pack" for one in manifest.packs}
    return found | {f"media-{digests[one.entry]}": "the pack for pictures and sounds" for one in manifest.media}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:7,.1f} MB"
