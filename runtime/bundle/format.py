"""What a bundle holds: the names of its entries, and what `manifest.json` says of them.

Refuses to know how that is read (`opening.py`) and written (`bundler/file/writing.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from runtime.bundle.head import HEAD_SIZE

ALIGNMENT = HEAD_SIZE
"""Bytes. Weights and runtimes begin at a multiple of it: the largest page size in use (arm64), so that
they can be mapped, and the block size with which the launcher skips to them."""

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

MAX_MANIFEST = 16 * 1024 * 1024
"""Bytes of the manifest, and of the other texts that are read whole."""

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
    """A frozen program in the bundle: an archive with the file `program`, which needs `glibc` or a newer one: the
    system's, else the one that it brings, where it is among its libraries.

    `packages` are Python's, `libraries` what else is in it; of llama.cpp the version is the commit. `variants` are the
    names of ggml's variants for processors in it; empty where an older loaf did not say.
    """

    platform: str
    entry: str
    program: str
    unpacked_size: int
    glibc: str
    python: str
    packages: tuple[Package, ...] = ()
    libraries: tuple[Package, ...] = ()
    variants: tuple[str, ...] = ()

    @property
    def c_library(self) -> str:
        """What it runs on, in words."""
        brings = any(library.name == "glibc" for library in self.libraries)
        return f"glibc {self.glibc} or newer{', else its own' if brings else ''}"


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


class MediaPack(msgspec.Struct, frozen=True):
    """What the runtime of `platform` needs for pictures: an archive of `unpacked_size` bytes, with the folder `PIL` and
    `library`, which is libmtmd. `packages` are in it."""

    platform: str
    entry: str
    unpacked_size: int
    library: str
    packages: tuple[Package, ...] = ()


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

    `models` are empty where the file is there for its programs alone. `builders`, one a platform, are the `loaf`
    command: where there are any, the launcher starts them, and `runtimes` are what they put into bundles. `system` is
    for chats that bring no system prompt, `chat_template` takes the place of the first model's own. `media` is there
    where a model has a projector, or nothing but programs.
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
    builders: tuple[Runtime, ...] = ()
    media: tuple[MediaPack, ...] = ()


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
        return Place(self.path_of(entry), entry.offset, entry.size)

    def path_of(self, entry: Entry) -> Path:
        """The file that has `entry`, which lies beside the bundle."""
        return self.path.resolve().parent / entry.file

    def beside(self) -> tuple[Entry, ...]:
        """What lies beside the bundle, not in it."""
        return tuple(entry for entry in self.manifest.entries if entry.file)

    def served_models(self) -> tuple[Model, ...]:
        """The models that clients may ask; the first is meant where they name none."""
        return tuple(model for model in self.manifest.models if model.role == "model")

    def adapters(self) -> tuple[Model, ...]:
        """The LoRA adapters of the first model."""
        return tuple(model for model in self.manifest.models if model.role == "lora")

    def draft(self) -> Model | None:
        """What guesses for the first model; None where nothing does."""
        return next((model for model in self.manifest.models if model.role == "draft"), None)

    def projector(self) -> Model | None:
        """What the first model sees with; None where it sees nothing."""
        return next((model for model in self.manifest.models if model.role == "projector"), None)

    def text(self, name: str) -> str | None:
        """The text of the entry `name`; None where there is none. Raises `OSError`."""
        span = self.spans.get(name)
        if span is None:
            return None
        with self.path.open("rb") as file:
            file.seek(span.offset)
            return file.read(min(span.size, MAX_MANIFEST)).decode("utf-8", "replace")
