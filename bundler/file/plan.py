"""Everything that goes into a bundle, before a byte of it is written: of a new one, and of one that is changed.

Knows what parts there are and what the manifest says of each. Refuses to know where they come from
(`bundler/making/planning.py`) and where they come to lie (`writing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bundler.file.content import Content, FileRange, Inline, content_size
from bundler.file.copying import Digests
from bundler.file.stored import stored_entries
from runtime.bundle import ARGS, MANIFEST, Bundle, MediaPack, Model, Pack, Runtime, Warm

LIBRARY = "llama-cpp-python"
"""The package that computes."""


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """An entry to be: its name in the archive and its bytes.

    `known`: what they come to, where that need not be computed. `stated`: the SHA-256 that their source says they
    have, in hex, where it says so; `origin`: what that source is called. `wanted`: the one that the user asked for.
    `file`: the file beside the bundle that it is, or that has it from `file_offset` on, so the bundle need not hold it.
    """

    name: str
    content: Content
    known: Digests | None = None
    stated: str | None = None
    origin: str = ""
    wanted: str | None = None
    file: str = ""
    file_offset: int = 0

    @property
    def size(self) -> int:
        """In bytes."""
        return content_size(self.content)

    @property
    def sha256(self) -> str | None:
        """What they come to, as far as anybody knows, in hex."""
        return self.stated if self.known is None else self.known.sha256


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """Weights, and what the manifest says of them."""

    about: Model
    weights: PlannedPart


@dataclass(frozen=True, slots=True)
class PlannedRuntime:
    """A frozen program, and what the manifest says of it."""

    about: Runtime
    core: PlannedPart

    @property
    def library(self) -> str:
        """What computes in it: `llama-cpp-python 0.3.36`."""
        return next((f"{one.name} {one.version}" for one in self.about.packages if one.name == LIBRARY), LIBRARY)


@dataclass(frozen=True, slots=True)
class PlannedPack:
    """A backend, and what the manifest says of it."""

    about: Pack
    archive: PlannedPart


@dataclass(frozen=True, slots=True)
class PlannedMedia:
    """What pictures need, and what the manifest says of it."""

    about: MediaPack
    archive: PlannedPart


@dataclass(frozen=True, slots=True)
class PlannedWarmth:
    """The state of a text that prompts begin with, and what the manifest says of it."""

    about: Warm
    state: PlannedPart


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole bundle. `loaf` is the version whose program is in it, `args` the text of `.args`.

    `chat_template` takes the place of the first model's own. `documents` are for people: licences, a README, and the
    text whose state `warmth` is. `builders` are the `loaf` command, one a platform: then that is what is launched.
    """

    name: str
    loaf: str
    models: tuple[PlannedModel, ...]
    runtimes: tuple[PlannedRuntime, ...]
    packs: tuple[PlannedPack, ...]
    documents: tuple[PlannedPart, ...]
    args: str
    system: str | None
    chat_template: str | None = None
    warmth: PlannedWarmth | None = None
    builders: tuple[PlannedRuntime, ...] = ()
    media: tuple[PlannedMedia, ...] = ()

    @property
    def weights(self) -> tuple[PlannedPart, ...]:
        """What comes first in the file, and stays where it is when the rest is changed."""
        return tuple(model.weights for model in self.models if not model.weights.file)

    @property
    def beside(self) -> tuple[PlannedPart, ...]:
        """What lies beside the file."""
        parts = (*(model.weights for model in self.models), *self.archives)
        return tuple(part for part in parts if part.file)

    @property
    def programs(self) -> tuple[PlannedPart, ...]:
        """What comes next, and like the weights at the alignment; last of all what was computed beforehand."""
        packs = (archive for archive in self.archives if not archive.file)
        states = () if self.warmth is None else (self.warmth.state,)
        return (*(program.core for program in (*self.runtimes, *self.builders)), *packs, *states)

    @property
    def archives(self) -> tuple[PlannedPart, ...]:
        """Of all packs."""
        return (*(pack.archive for pack in self.packs), *(pack.archive for pack in self.media))

    @property
    def launched(self) -> tuple[PlannedRuntime, ...]:
        """What the launcher starts, one a platform."""
        return self.builders or self.runtimes

    @property
    def texts(self) -> tuple[PlannedPart, ...]:
        """What comes last, but for the manifest."""
        return (PlannedPart(ARGS, (Inline(self.args.encode()),)), *self.documents)

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in (*self.weights, *self.programs, *self.texts))


def plan_of(bundle: Bundle) -> Plan:
    """What `bundle` was made of, read from where it lies in it. Raises `BundleDamaged`, `OSError`."""
    parts = {part.name: part for part in _parts_of(bundle)}
    manifest = bundle.manifest
    models = tuple(PlannedModel(model, parts.pop(model.entry)) for model in manifest.models)
    runtimes = tuple(PlannedRuntime(runtime, parts.pop(runtime.entry)) for runtime in manifest.runtimes)
    packs = tuple(PlannedPack(pack, parts.pop(pack.entry)) for pack in manifest.packs)
    media = tuple(PlannedMedia(one, parts.pop(one.entry)) for one in manifest.media)
    builders = tuple(PlannedRuntime(builder, parts.pop(builder.entry)) for builder in manifest.builders)
    warmth = None if manifest.warm is None else PlannedWarmth(manifest.warm, parts.pop(manifest.warm.entry))
    documents = tuple(parts.values())
    return Plan(
        manifest.name,
        manifest.loaf,
        models,
        runtimes,
        packs,
        documents,
        bundle.args,
        manifest.system,
        manifest.chat_template,
        warmth,
        builders,
        media,
    )


def _parts_of(bundle: Bundle) -> Iterator[PlannedPart]:
    for entry in stored_entries(bundle):
        if entry.name not in (ARGS, MANIFEST):
            content = (FileRange(bundle.path, entry.data_offset, entry.size),)
            yield PlannedPart(entry.name, content, Digests(entry.sha256, entry.crc32))
    for beside in bundle.beside():
        content = (FileRange(bundle.place_of(beside.name).path, beside.offset, beside.size),)
        yield PlannedPart(beside.name, content, stated=beside.sha256, file=beside.file, file_offset=beside.offset)
