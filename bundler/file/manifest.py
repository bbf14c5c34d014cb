"""The manifest of a bundle, from what a plan says and how its parts lie in the file.

Refuses to know where it is written (`writing.py`) and how it is read (`runtime/bundle/`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from bundler.file.archive import Stored
from bundler.file.plan import Plan, PlannedPart
from runtime.bundle import ALIGNMENT, SCHEMA, Entry, Manifest

_NO_SHA256 = "0" * 64


def manifest_of(plan: Plan, head: bytes, stored: Sequence[Stored]) -> bytes:
    """The manifest's own bytes. How many they are depends neither on the head's content nor on digests."""
    unsigned = Manifest(
        schema=SCHEMA,
        build_id="",
        name=plan.name,
        loaf=plan.loaf,
        models=tuple(model.about for model in plan.models),
        runtimes=tuple(runtime.about for runtime in plan.runtimes),
        entries=(
            Entry("", ALIGNMENT, hashlib.sha256(head).hexdigest()),
            *(Entry(entry.name, entry.size, entry.sha256 or _NO_SHA256) for entry in stored),
            *map(_beside, plan.beside),
        ),
        system=plan.system,
        packs=tuple(pack.about for pack in plan.packs),
        chat_template=plan.chat_template,
        warm=None if plan.warmth is None else plan.warmth.about,
        builders=tuple(builder.about for builder in plan.builders),
        media=tuple(media.about for media in plan.media),
    )
    build_id = hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest()
    return _encode(msgspec.structs.replace(unsigned, build_id=build_id))


def _beside(part: PlannedPart) -> Entry:
    return Entry(part.name, part.size, part.sha256 or _NO_SHA256, part.file, part.file_offset)


def _encode(manifest: Manifest) -> bytes:
    """Readable where someone prints it: `unzip -p FILE manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
