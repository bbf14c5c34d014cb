"""Bundles as nobody builds them: manifest and entries are changed, and all that follows from these is made right."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from isal.isal_zlib import crc32

from bundler.file.archive import Stored, central_directory, local_header
from runtime.bundle import ALIGNMENT, MANIFEST, open_bundle, read_head
from runtime.bundle.head import make_head

Change = Callable[[dict[str, Any], dict[str, bytes]], None]
"""Changes the manifest and the contents of the entries, by name."""


def tampered(path: Path, target: Path, change: Change, *, sized: Callable[[Stored], Stored] = lambda one: one) -> Path:
    """The bundle at `path` after `change`; `sized` says what the directory has of each entry instead of the truth."""
    bundle = open_bundle(path)
    data = path.read_bytes()
    contents = {name: data[span.offset : span.offset + span.size] for name, span in bundle.spans.items()}
    manifest = json.loads(contents.pop(MANIFEST))
    change(manifest, contents)
    launcher = read_head(path).launcher
    for _again in range(2):  # the size that the launcher states is in it, and so in the manifest
        head = make_head(launcher)
        whole = head + _archive(head, manifest, contents, sized)
        launcher = re.sub(rb"(?m)^bundle_size=\d+$", b"bundle_size=%d" % len(whole), launcher)
    target.write_bytes(make_head(launcher) + whole[ALIGNMENT:])
    return target


def _archive(
    head: bytes, manifest: dict[str, Any], contents: dict[str, bytes], sized: Callable[[Stored], Stored]
) -> bytes:
    listed = {entry["name"]: entry for entry in manifest["entries"]}
    listed[""]["sha256"] = hashlib.sha256(head).hexdigest()
    unsigned = manifest | {"build_id": ""}
    build_id = hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest()
    contents = contents | {MANIFEST: msgspec.json.encode(manifest | {"build_id": build_id})}
    position, written, directory = ALIGNMENT, b"", []
    for name, data in contents.items():
        entry = Stored(name, position, position, len(data), crc32(data), "")
        header = local_header(entry)
        directory.append(sized(Stored(name, position, position + len(header), len(data), crc32(data), "")))
        written += header + data
        position += len(header) + len(data)
    return written + central_directory(directory, position)
