"""The layers of an image: each a tar archive, of which no byte says when and by whom it was made.

A container has no use for a launcher: nothing is unpacked when it starts. So the program lies there as it would in the
cache, prepared for its own C library (docs/architecture.md), and the image needs no system below it: no shell either.
Weights lie in layers of their own, uncompressed: registries and machines keep them once, whatever else changes.
Refuses to know how layers are named and listed (`oci.py`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundler.file.content import Content, FileRange, Inline, content_size
from bundler.file.copying import read
from bundler.file.plan import PlannedRuntime
from bundler.freeze.elf import loader_of, placed

ROOT = PurePosixPath("loaf")
PROGRAM = ROOT / "program"
COPY = ".image"
"""What the program's name ends in: it tells it that its C library is its own (runtime/machine/c_library.py)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`content` in the form "tar" or "tar+gzip"; `diff_id` is what it comes to unpacked (sha256:HEX), None where
    that is the archive itself. `holds` is for people."""

    holds: str
    form: str
    content: Content
    diff_id: str | None = None

    @property
    def size(self) -> int:
        """Bytes, as it lies there."""
        return content_size(self.content)


def file_layer(name: str, content: Content, mode: int) -> Layer:
    """A layer with one file, /loaf/`name`, which is `content`."""
    size = content_size(content)
    header = _member(ROOT / name, mode, size=size).tobuf()
    end = bytes(-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
    return Layer(name, "tar", (Inline(_folders(ROOT) + header), *content, Inline(end)))


def program_layer(runtime: PlannedRuntime) -> Layer:
    """A layer with the program, unpacked to /loaf/program, and /tmp. Raises `SourceChanged`, `OSError`."""
    archive = io.BytesIO(b"".join(read(runtime.core.content)))
    raw = b"".join(_program_members(archive, runtime)) + bytes(2 * tarfile.BLOCKSIZE)
    packed = gzip.compress(raw, compresslevel=6, mtime=0)
    diff_id = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    return Layer(f"the program for {runtime.about.platform}", "tar+gzip", (Inline(packed),), diff_id)


def whole_file(path: Path) -> Content:
    """All of the file `path`."""
    return (FileRange(path, 0, path.stat().st_size),)


def _program_members(archive: io.BytesIO, runtime: PlannedRuntime) -> Iterator[bytes]:
    with tarfile.open(fileobj=archive, mode="r:gz") as core:
        members = sorted(core.getmembers(), key=lambda member: member.name)
        names = {PurePosixPath(member.name) for member in members}
        yield _folders(ROOT, PROGRAM) + _member(PurePosixPath("tmp"), 0o1777, kind=tarfile.DIRTYPE).tobuf()
        for folder in sorted({parent for name in names for parent in name.parents} - names - {PurePosixPath()}):
            yield _folders(PROGRAM / folder)
        for member in members:
            yield _moved(core, member, runtime.about.program)


def _moved(core: tarfile.TarFile, member: tarfile.TarInfo, program: str) -> bytes:
    """`member` in its place below `PROGRAM`; the program itself looks for what it needs there."""
    target = PROGRAM / member.name
    if member.isdir():
        return _folders(target)
    if member.issym():
        return _member(target, 0o777, kind=tarfile.SYMTYPE, link=member.linkname).tobuf()
    file = core.extractfile(member)
    assert file is not None, "a core holds files, folders and links"
    data = file.read()
    if member.name == program:
        target = target.with_name(program + COPY)
        glibc = f"/{PROGRAM / 'glibc'}"
        data = placed(data, f"{glibc}:/{PROGRAM / '_internal'}", f"{glibc}/{PurePosixPath(loader_of(data)).name}")
    mode = 0o755 if member.mode & 0o100 else 0o644
    return _member(target, mode, size=len(data)).tobuf() + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _folders(*paths: PurePosixPath) -> bytes:
    return b"".join(_member(path, 0o755, kind=tarfile.DIRTYPE).tobuf() for path in paths)


def _member(
    path: PurePosixPath, mode: int, *, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    """Root's, of the epoch: who made it when is nobody's business, and would be other bytes each time."""
    member = tarfile.TarInfo(str(path))
    member.mode, member.size, member.type, member.linkname = mode, size, kind, link
    return member
