"""Writes what a plan says into an open file.

Knows the order of things in the file. Refuses to know whether the file is a new one (`bundler/making/`) or one that is
being changed (`bundler/changing/`), and how the archive is written (`archive.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from bundler.errors import AnotherDigest, DigestMismatch
from bundler.file.archive import ArchiveWriter, Stored, end_with, local_header, place
from bundler.file.content import Inline
from bundler.file.copying import Digests, write_all
from bundler.file.digests import recall, remember
from bundler.file.launcher import LaunchTarget, render_launcher
from bundler.file.plan import Plan, PlannedPart, PlannedRuntime
from runtime.bundle import ALIGNMENT, MANIFEST, SCHEMA, Entry, Manifest
from runtime.bundle.head import make_head

_NO_SHA256 = "0" * 64


@dataclass(frozen=True, slots=True)
class Written:
    """What is in the file but for its head: the launcher that goes there, and the file's full size in bytes."""

    launcher: bytes
    size: int


def write_parts(
    plan: Plan, fd: int, advance: Callable[[int], None], kept: Sequence[Stored] = (), start: int = ALIGNMENT
) -> Written:
    """Write everything behind the head into `fd`; the launcher, which states sizes and positions, is left to write.

    `kept` is what of the weights lies in the file already; the rest is written from `start` on. Raises
    `DigestMismatch`, `AnotherDigest`, `SourceChanged`, `OSError`.
    """
    writer = ArchiveWriter(fd, start, ALIGNMENT, advance, kept)
    for part in plan.weights[len(kept) :]:
        _write_aligned(writer, part)
    cores = [_write_aligned(writer, part) for part in plan.programs][: len(plan.runtimes)]
    for part in plan.texts:
        writer.add(part.name, part.content, known=part.known)

    size = writer.end_with(MANIFEST, len(_encode(_manifest(plan, b"", writer.stored))))
    launcher = render_launcher(plan.name, plan.loaf, size, list(map(_target, plan.runtimes, cores)))
    manifest = _manifest(plan, make_head(launcher), writer.stored)
    writer.add(MANIFEST, (Inline(_encode(manifest)),))
    written = writer.finish()
    assert written == size, "the launcher states another size than was written"
    return Written(launcher, size)


def size_of(plan: Plan, kept: Sequence[Stored] = (), start: int = ALIGNMENT) -> int:
    """The full size, in bytes, of the file that `write_parts` would make."""
    stored = _laid_out((*plan.weights[len(kept) :], *plan.programs), ALIGNMENT, kept, start)
    stored = _laid_out(plan.texts, 1, stored, _end(stored, start))
    return end_with(stored, _end(stored, start), MANIFEST, len(_encode(_manifest(plan, b"", stored))))


def write_hollow(plan: Plan, fd: int) -> None:
    """Write a bundle without programs into the empty file `fd`, which has holes where the weights would be.

    For whoever reads no more of it than what is baked in.
    """
    hollow = replace(plan, runtimes=(), packs=(), documents=(), warmth=None)
    weights = _laid_out(plan.weights, ALIGNMENT, (), ALIGNMENT)
    for entry in weights:
        write_all(fd, local_header(entry), entry.header_offset)
    written = write_parts(hollow, fd, lambda _bytes: None, weights, _end(weights, ALIGNMENT))
    write_all(fd, make_head(written.launcher), 0)


def _laid_out(parts: Sequence[PlannedPart], alignment: int, before: Sequence[Stored], start: int) -> list[Stored]:
    """`parts` as they would lie behind those `before` if they were written from `start` on."""
    stored, position = list(before), start
    for part in parts:
        header_offset, data_offset = place(position, part.name, part.size, alignment)
        stored.append(Stored(part.name, header_offset, data_offset, part.size, 0, _NO_SHA256))
        position = data_offset + part.size
    return stored


def _end(stored: Sequence[Stored], start: int) -> int:
    return stored[-1].data_offset + stored[-1].size if stored else start


def _write_aligned(writer: ArchiveWriter, part: PlannedPart) -> Stored:
    """Write what is large. It is not hashed where that has been done before."""
    known = part.known or recall(part.content)
    stored = writer.add(part.name, part.content, aligned=True, known=known)
    check_digest(part, stored.sha256)
    if known is None:
        remember(part.content, Digests(stored.sha256, stored.crc32))
    return stored


def check_digest(part: PlannedPart, sha256: str) -> None:
    """Raises `DigestMismatch`, `AnotherDigest` where `sha256`, in hex, is not what `part` must come to."""
    if part.stated not in (None, sha256):
        hint = "Delete what the source holds of it, and fetch it again (loaf verify tells of a bundle which part)."
        raise DigestMismatch(part.origin or part.name, hint)
    if part.wanted not in (None, sha256):
        raise AnotherDigest(part.name, part.wanted, sha256)


def _target(runtime: PlannedRuntime, core: Stored) -> LaunchTarget:
    about = runtime.about
    return LaunchTarget(
        platform=about.platform,
        offset=core.data_offset,
        size=core.size,
        unpacked_size=about.unpacked_size,
        sha256=core.sha256,
        glibc=about.glibc,
        executable=about.program,
    )


def _manifest(plan: Plan, head: bytes, stored: Sequence[Stored]) -> Manifest:
    """The manifest. Its length does not depend on the head's content, only on the head being there."""
    unsigned = Manifest(
        schema=SCHEMA,
        build_id="",
        name=plan.name,
        loaf=plan.loaf,
        models=tuple(model.about for model in plan.models),
        runtimes=tuple(runtime.about for runtime in plan.runtimes),
        entries=(
            Entry("", ALIGNMENT, hashlib.sha256(head).hexdigest()),
            *(Entry(entry.name, entry.size, entry.sha256) for entry in stored),
            *map(_beside, plan.beside),
        ),
        system=plan.system,
        packs=tuple(pack.about for pack in plan.packs),
        chat_template=plan.chat_template,
        warm=None if plan.warmth is None else plan.warmth.about,
    )
    build_id = hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest()
    return msgspec.structs.replace(unsigned, build_id=build_id)


def _beside(part: PlannedPart) -> Entry:
    return Entry(part.name, part.size, part.sha256 or _NO_SHA256, part.file, part.file_offset)


def _encode(manifest: Manifest) -> bytes:
    """Readable where someone prints it: `unzip -p FILE manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
