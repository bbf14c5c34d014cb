"""The bundle's format: what a `.loaf` file holds and where.

A bundle is a shell script (the launcher), padded to `ALIGNMENT`, followed by a ZIP archive whose offsets
count from the start of the file. `manifest.json` in it is the one contract between the bundler, which
writes it, and the runtime, which is launched from it.

Knows names, schema and positions. Refuses to know how bundles are written (`bundler/archive.py`) and
what is inside weights.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec

from runtime.errors import LoafError
from runtime.head import HEAD_SIZE, Head, parse_head

ALIGNMENT = 64 * 1024
"""Bytes. Weights and runtimes begin at a multiple of it: the largest page size in use (arm64), so that
they can be mapped, and the block size with which the launcher skips to them."""

assert ALIGNMENT == HEAD_SIZE

SCHEMA = 1
MANIFEST = "manifest.json"
ARGS = ".args"
MODELS = "models/"
RUNTIMES = "runtime/"
LICENSES = "licenses/"
LICENSE_TEXT = "licenses/model.txt"
README = "README.md"
WARM_STATE = "warm/state.bin"
WARM_TEXT = "warm/text.txt"

_MAX_MANIFEST = 16 * 1024 * 1024
_LOCAL_HEADER = 30  # bytes, without name and extra field: APPNOTE.TXT 4.3.7

Role = Literal["model", "lora", "draft", "projector"]
Backend = Literal["cuda", "rocm", "metal", "vulkan"]
"""What computes on GPUs; in the order in which a machine that has several of them takes them."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the bundle: `size` in bytes, `sha256` in hex. The launcher is the entry named ''.

    `file`: the file beside the bundle that is the part, or has it from `offset` on; "" where the bundle itself has it.
    """

    name: str
    size: int
    sha256: str
    file: str = ""
    offset: int = 0


class Model(msgspec.Struct, frozen=True):
    """Weights in the bundle, and what their header says of them. All but those of the role "model" belong to the first.

    `origin`: where they are from, "" where unknown. `keeps_cache`: whether the model keeps anything of a text while it
    is computed; encoders, which only make vectors, do not. `scale`: how strongly an adapter is applied.
    """

    name: str
    entry: str
    role: Role
    architecture: str
    parameter_count: int
    quantization: str
    context_length: int | None = None
    license: str | None = None
    has_chat_template: bool = False
    keeps_cache: bool = True
    origin: str = ""
    scale: float = 1.0


class Package(msgspec.Struct, frozen=True):
    """Software inside a program. `license`: an SPDX expression, or in its owner's words; "" where they say nothing.

    `version` "": it follows from the machine that the program was frozen on.
    """

    name: str
    version: str
    license: str


class Runtime(msgspec.Struct, frozen=True):
    """A frozen program in the bundle: an archive with the file `program`, which needs `glibc` or a newer one.

    `packages` are Python's, `libraries` what else is in it; of llama.cpp the version is the commit.
    """

    platform: str
    entry: str
    program: str
    unpacked_size: int
    glibc: str
    python: str
    packages: tuple[Package, ...] = ()
    libraries: tuple[Package, ...] = ()


class Pack(msgspec.Struct, frozen=True):
    """A backend for the runtime of `platform`: an archive with the file `library`, `unpacked_size` bytes.

    `needs` are the libraries that a machine must have for it, by the names that the loader looks for.
    """

    platform: str
    backend: Backend
    entry: str
    unpacked_size: int
    library: str
    needs: tuple[str, ...] = ()


class Warm(msgspec.Struct, frozen=True):
    """The state of a text that prompts begin with, in `entry`, and what it was computed with; nothing else may use it.

    `model` is the SHA-256 of the weights, `adapters` have theirs and their scales. `library` is llama-cpp-python's
    version. `flash_attention` None: where the device has it.
    """

    entry: str
    tokens: int
    model: str
    adapters: tuple[tuple[str, float], ...]
    library: str
    cache_type_k: str
    cache_type_v: str
    flash_attention: bool | None


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`. `build_id` is a hash over everything else in it, so over every byte of the bundle.

    `system` is for chats that bring no system prompt, `chat_template` takes the place of the first model's own.
    """

    schema: int
    build_id: str
    name: str
    loaf: str
    models: tuple[Model, ...]
    runtimes: tuple[Runtime, ...]
    entries: tuple[Entry, ...]
    system: str | None = None
    packs: tuple[Pack, ...] = ()
    chat_template: str | None = None
    warm: Warm | None = None


class Span(msgspec.Struct, frozen=True):
    """Where an entry's bytes lie in the bundle, in bytes from its start."""

    offset: int
    size: int


class Place(msgspec.Struct, frozen=True):
    """Where the bytes of a part lie: `size` bytes from `offset` on in the file `path`."""

    path: Path
    offset: int
    size: int


class Bundle(msgspec.Struct, frozen=True):
    """An opened bundle: its manifest, its default arguments and where the entries lie that it holds itself."""

    path: Path
    manifest: Manifest
    args: str
    spans: dict[str, Span]

    def place_of(self, name: str) -> Place:
        """Where the entry `name` is, be it in the bundle or beside it; whether it is there, is not asked."""
        span = self.spans.get(name)
        if span is not None:
            return Place(self.path, span.offset, span.size)
        entry = next(entry for entry in self.manifest.entries if entry.name == name)
        return Place(self.path.resolve().parent / entry.file, entry.offset, entry.size)

    def beside(self) -> tuple[Entry, ...]:
        """What lies beside the bundle, not in it."""
        return tuple(entry for entry in self.manifest.entries if entry.file)

    def served_models(self) -> tuple[Model, ...]:
        """The models that clients may ask, at least one; the first is meant where they name none."""
        return tuple(model for model in self.manifest.models if model.role == "model")

    def adapters(self) -> tuple[Model, ...]:
        """The LoRA adapters of the first model."""
        return tuple(model for model in self.manifest.models if model.role == "lora")

    def text(self, name: str) -> str | None:
        """The text of the entry `name`; None where there is none. Raises `OSError`."""
        span = self.spans.get(name)
        if span is None:
            return None
        with self.path.open("rb") as file:
            file.seek(span.offset)
            return file.read(min(span.size, _MAX_MANIFEST)).decode("utf-8", "replace")


class BundleError(LoafError):
    """The file is not a bundle that this version can use."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(f"{path}: {message}", hint)
        self.path = path


class NotABundle(BundleError):
    """The file does not begin with a launcher of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "is not a loaf bundle", "Bundles are made with: loaf build MODEL.gguf")


class BundleTruncated(BundleError):
    """The file is shorter than its launcher says."""

    def __init__(self, path: Path, size: int, expected: int) -> None:
        super().__init__(
            path,
            f"is incomplete: it holds {size:,} of {expected:,} bytes, {expected - size:,} are missing",
            "Download or copy it again.",
        )
        self.size = size
        self.expected = expected


class BundleDamaged(BundleError):
    """The archive's directory or the manifest cannot be read."""

    def __init__(self, path: Path, part: str, reason: str) -> None:
        super().__init__(path, f"is damaged: {part}: {reason}", "Download or build it again.")
        self.part = part


class WeightsNotBeside(BundleError):
    """Weights that belong beside the bundle are not there, or are others. `file` is where they should be."""

    def __init__(self, path: Path, file: Path, present: int | None, expected: int) -> None:
        what = "is missing" if present is None else f"has {present:,} bytes, and should have {expected:,}"
        super().__init__(path, f"its weights lie beside it, and {file} {what}", "Copy both, into one folder.")
        self.file = file
        self.present = present
        self.expected = expected


class BundleTooNew(BundleError):
    """The manifest follows a later schema than this program knows."""

    def __init__(self, path: Path, schema: int) -> None:
        super().__init__(
            path,
            f"follows bundle schema {schema}, and this version of loaf knows schema {SCHEMA}",
            "Update loaf: pip install -U loaf-llm",
        )
        self.schema = schema


def open_bundle(path: Path) -> Bundle:
    """Read the directory and the manifest of the bundle at `path`; the weights are not touched.

    Raises `NotABundle`, `BundleTruncated`, `BundleDamaged`, `BundleTooNew`, or `OSError` where the file
    cannot be read at all.
    """
    with open_archive(path) as archive:
        try:
            spans = {info.filename: span_of(archive, info) for info in archive.infolist()}
            manifest = _parse_manifest(path, _read_small(archive, MANIFEST))
            args = _read_small(archive, ARGS).decode() if ARGS in spans else ""
        except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
            raise BundleDamaged(path, "the archive's directory", str(error)) from error
    check_entries(path, manifest, spans)
    return Bundle(path, manifest, args, spans)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive in the bundle at `path`: what the launcher says there is, whatever lies behind it.

    Raises `NotABundle`, `BundleTruncated`, `BundleDamaged`, `OSError`.
    """
    with path.open("rb") as file:
        size = stated_size(_read_head(path, file))
        present = file.seek(0, io.SEEK_END)
        if present < size:
            raise BundleTruncated(path, present, size)
        try:
            archive = zipfile.ZipFile(_Bounded(file, size) if present > size else file)
        except (zipfile.BadZipFile, ValueError) as error:
            raise BundleDamaged(path, "the archive's directory", str(error)) from error
        with archive:
            yield archive


def check_beside(bundle: Bundle) -> None:
    """What belongs beside the bundle is there, and of its size. Raises `WeightsNotBeside`, `OSError`."""
    for entry in bundle.beside():
        file = bundle.place_of(entry.name).path
        present = file.stat().st_size if file.is_file() else None
        if present is None or present < entry.offset + entry.size or (present > entry.size and not entry.offset):
            raise WeightsNotBeside(bundle.path, file, present, entry.size)


def is_bundle(path: Path) -> bool:
    """Whether the file begins with a launcher of ours."""
    with path.open("rb") as file:
        return _find_size(parse_head(file.read(HEAD_SIZE))) is not None


def stated_size(head: Head) -> int:
    """The full size of the bundle that its launcher states, in bytes."""
    size = _find_size(head)
    assert size is not None
    return size


def read_head(path: Path) -> Head:
    """What the head of the bundle at `path` holds. Raises `NotABundle`, `OSError`."""
    with path.open("rb") as file:
        return _read_head(path, file)


def _read_head(path: Path, file: IO[bytes]) -> Head:
    head = parse_head(file.read(HEAD_SIZE))
    if head is None or _find_size(head) is None:
        raise NotABundle(path)
    return head


_SIZE_LINE = re.compile(rb"^bundle_size=(\d{1,18})$", re.MULTILINE)


def _find_size(head: Head | None) -> int | None:
    match = _SIZE_LINE.search(head.launcher) if head is not None else None
    return int(match[1]) if match else None


class _Bounded(io.RawIOBase):
    """The first `size` bytes of a file: behind them is what an interrupted change has left."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_end = whence == io.SEEK_END
        return self._file.seek(self._size + offset, io.SEEK_SET) if from_end else self._file.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size is None or size < 0 else min(size, left))


def span_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Span:
    """Where a stored entry's data begins: the local header's own name and extra lengths decide.

    Raises `zipfile.BadZipFile`.
    """
    file = archive.fp
    assert file is not None
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
        raise zipfile.BadZipFile(f"no local header for {info.filename}")
    if info.compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{info.filename} is compressed")
    name_length = int.from_bytes(header[26:28], "little")
    extra_length = int.from_bytes(header[28:30], "little")
    return Span(info.header_offset + _LOCAL_HEADER + name_length + extra_length, info.file_size)


def _read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > _MAX_MANIFEST:
        raise zipfile.BadZipFile(f"{name} is {info.file_size:,} bytes long")
    return archive.read(info)


def _parse_manifest(path: Path, data: bytes) -> Manifest:
    class Versioned(msgspec.Struct):
        schema: int

    try:
        schema = msgspec.json.decode(data, type=Versioned).schema
        if schema > SCHEMA:
            raise BundleTooNew(path, schema)
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleDamaged(path, MANIFEST, str(error)) from error


def check_entries(path: Path, manifest: Manifest, spans: dict[str, Span]) -> None:
    """Every entry that the manifest names is there, of the size it names, or may lie beside the bundle; there are
    models, each of its own name.

    Raises `BundleDamaged`.
    """
    for entry in manifest.entries:
        if entry.file:
            if entry.name in spans or entry.file in (".", "..") or re.search(r"[/\\\0]", entry.file):
                raise BundleDamaged(path, entry.name, f"it cannot lie beside the bundle as {entry.file!r}")
        elif entry.name and (entry.name not in spans or spans[entry.name].size != entry.size):
            raise BundleDamaged(path, entry.name, "the archive does not hold it as the manifest says")
    listed = {entry.name for entry in manifest.entries}
    named = [model.entry for model in manifest.models] + [frozen.entry for frozen in manifest.runtimes]
    named += [pack.entry for pack in manifest.packs] + ([manifest.warm.entry] if manifest.warm else [])
    for name in named:
        if name not in listed:
            raise BundleDamaged(path, name, "the manifest names it but does not list it")
    served = [model.name for model in manifest.models if model.role == "model"]
    if not served or len(set(served)) < len(served):
        raise BundleDamaged(path, MANIFEST, "it names two models alike" if served else "it names no model")
