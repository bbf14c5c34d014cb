"""Models of Ollama: from the store on this machine, else pulled from a registry.

A model is a manifest that names its parts by their digests: weights, system prompt, parameters, and more. The store
keeps manifests at `manifests/HOST/NAMESPACE/MODEL/TAG` and parts at `blobs/sha256-DIGEST`; a registry serves the same
by the OCI distribution protocol. A template is in Go's language, which nothing here speaks: the one inside the GGUF is
used instead.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bundler.errors import Found, SourceNotFound
from bundler.file.baked import Baked, Part, PartRole
from bundler.progress import Progress
from bundler.sources.resolved import Resolved

PREFIX = "ollama:"
_REGISTRY = "https://registry.ollama.ai"
_MEDIA = "application/vnd.ollama.image."
_MAX_TEXT = 4 * 1024 * 1024
_HOST = re.compile(r"(\w[\w.-]*(:\d+)?)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_PARTS: dict[str, PartRole] = {"adapter": "lora", "projector": "projector"}
"""Layers that are weights, too, and what they are for."""

_FLAGS = {
    "temperature": "--temp",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "min_p": "--min-p",
    "typical_p": "--typical",
    "repeat_last_n": "--repeat-last-n",
    "repeat_penalty": "--repeat-penalty",
    "presence_penalty": "--presence-penalty",
    "frequency_penalty": "--frequency-penalty",
    "seed": "--seed",
    "num_ctx": "--ctx-size",
    "num_predict": "--n-predict",
}
"""Parameters that a bundle knows too, by its flags."""


class Layer(msgspec.Struct, rename="camel", frozen=True):
    """A part of a model: what it is, and its bytes by their digest. `size` in bytes."""

    media_type: str
    digest: str
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """What a model is made of."""

    layers: tuple[Layer, ...]

    def all_of(self, kind: str) -> tuple[Layer, ...]:
        """Those of a kind: `model`, `system`, `params`, …"""
        return tuple(layer for layer in self.layers if layer.media_type == _MEDIA + kind)

    def layer(self, kind: str) -> Layer | None:
        """The first of a kind."""
        return next(iter(self.all_of(kind)), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model's full name. `base` is the registry's address."""

    base: str
    namespace: str
    model: str
    tag: str

    @property
    def host(self) -> str:
        return self.base.partition("://")[2]

    @property
    def path(self) -> Path:
        """Of its manifest, in a store."""
        return Path("manifests", self.host, self.namespace, self.model, self.tag)

    def __str__(self) -> str:
        host = "" if self.base == _REGISTRY else f"{self.host}/"
        namespace = "" if self.namespace == "library" else f"{self.namespace}/"
        return f"{PREFIX}{host}{namespace}{self.model}:{self.tag}"


def resolve(text: str, progress: Progress) -> Resolved:
    """The model that `ollama:TEXT` names. Raises `SourceNotFound`, `DownloadFailed`, `DigestMismatch`, `CacheFull`."""
    reference = parse(text)
    for store in stores():
        if (store / reference.path).is_file():
            return _from_store(reference, store)
    return _from_registry(reference, progress)


def offered(text: str) -> list[Found] | Path:
    """The weights of `ollama:TEXT` where the store has them; else what its registry has, part by part.

    Raises as `resolve` does.
    """
    reference = parse(text)
    for store in stores():
        if (store / reference.path).is_file():
            return _from_store(reference, store).path
    layers = _registered(reference).layers
    return [Found(f"{reference} ({layer.media_type.removeprefix(_MEDIA)})", layer.size) for layer in layers]


def parse(text: str) -> Reference:
    """`[http://][HOST/][NAMESPACE/]MODEL[:TAG]`, as Ollama takes it. Raises `SourceNotFound`."""
    scheme, separator, rest = text.rpartition("://")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, tag = rest, "latest"
    parts = name.split("/")
    has_host = len(parts) > 2 or (len(parts) > 1 and set(parts[0]) & {".", ":"})
    host = parts.pop(0) if has_host else ""
    namespace = parts.pop(0) if len(parts) > 1 else "library"
    model = "/".join(parts)
    if not all(re.fullmatch(r"\w[\w.+-]*", part) for part in (namespace, model, tag)) or not _HOST.fullmatch(host):
        raise SourceNotFound(PREFIX + text, "is not a model's name", "It is [HOST/][NAMESPACE/]NAME[:TAG].")
    base = f"{scheme if separator else 'https'}://{host}" if host else _REGISTRY
    return Reference(base, namespace, model, tag)


def stores() -> list[Path]:
    """Where Ollama keeps models on this machine, as a user's program and as a service."""
    chosen = os.environ.get("OLLAMA_MODELS")
    folders = [Path(chosen)] if chosen else [Path.home() / ".ollama" / "models"]
    return [*folders, Path("/usr/share/ollama/.ollama/models")]


def installed() -> list[tuple[Reference, int]]:
    """Every model in the stores, and the size of its weights in bytes."""
    found: dict[Reference, int] = {}
    for store in stores():
        for path in sorted(store.glob("manifests/*/*/*/*")):
            host, namespace, model, tag = path.parts[-4:]
            weights = _weights_of(path)
            if weights is not None:
                reference = Reference(
                    _REGISTRY if _REGISTRY.endswith(host) else f"https://{host}", namespace, model, tag
                )
                found.setdefault(reference, weights.size)
    return list(found.items())


def _weights_of(path: Path) -> Layer | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest).layer("model")
    except (OSError, msgspec.DecodeError):
        return None


def _from_store(reference: Reference, store: Path) -> Resolved:
    manifest = _decode(reference, (store / reference.path).read_bytes())

    def blob(layer: Layer) -> Path:
        path = _blob(store, layer)
        if not path.is_file() or path.stat().st_size != layer.size:
            kind = layer.media_type.removeprefix(_MEDIA)
            raise SourceNotFound(
                str(reference), f"its {kind} is not whole in Ollama's store", "Pull it again with Ollama."
            )
        return path

    return _resolved(reference, manifest, blob)


def _from_registry(reference: Reference, progress: Progress) -> Resolved:
    from bundler.store.downloads import Download, fetch

    manifest = _registered(reference)

    def blob(layer: Layer) -> Path:
        digest = layer.digest.removeprefix("sha256:")
        address = f"{_address(reference)}/blobs/{layer.digest}"
        return fetch(Download(address, f"sha256-{digest}", digest, layer.size), progress)

    return _resolved(reference, manifest, blob)


def _registered(reference: Reference) -> Manifest:
    """What the registry says of it."""
    from bundler.store.downloads import ask, request_failed

    address = _address(reference)
    answer = ask(f"{address}/manifests/{reference.tag}", "application/vnd.docker.distribution.manifest.v2+json")
    if answer.status_code == 404:
        raise SourceNotFound(
            str(reference), f"neither this machine nor {reference.host} has it", "`loaf models` lists what is here."
        )
    if answer.status_code != 200:
        raise request_failed(f"{address}/manifests/{reference.tag}", answer.status_code)
    return _decode(reference, answer.content)


def _address(reference: Reference) -> str:
    return f"{reference.base}/v2/{reference.namespace}/{reference.model}"


def _resolved(reference: Reference, manifest: Manifest, blob: Callable[[Layer], Path]) -> Resolved:
    """The model whose layers `blob` finds."""

    def text_of(kind: str) -> str:
        layers = [layer for layer in manifest.all_of(kind) if layer.size <= _MAX_TEXT]
        return "\n\n".join(blob(layer).read_text("utf-8", "replace").strip() for layer in layers)

    name = reference.model if reference.tag == "latest" else f"{reference.model}-{reference.tag}"
    weights = _weights(reference, manifest)
    return Resolved(
        blob(weights),
        name,
        sha256=weights.digest.removeprefix("sha256:"),
        baked=Baked(
            args=_arguments(text_of("params")),
            system=text_of("system") or None,
            license=text_of("license") or None,
            parts=tuple(_parts(name, manifest, blob)),
        ),
        origin=str(reference),
    )


def _parts(name: str, manifest: Manifest, blob: Callable[[Layer], Path]) -> Iterator[Part]:
    for kind, role in _PARTS.items():
        for number, layer in enumerate(manifest.all_of(kind), 1):
            yield Part(role, blob(layer), f"{name}-{kind}" if number == 1 else f"{name}-{kind}-{number}")


def _arguments(params: str) -> str:
    """Ollama's parameters as flags. Stop words are left out: the model's own end is known from its vocabulary."""
    try:
        values = msgspec.json.decode(params, type=dict[str, Any])
    except msgspec.DecodeError:
        return ""
    known = [(flag, values[name]) for name, flag in _FLAGS.items() if isinstance(values.get(name), (int, float))]
    return "\n".join(f"{flag} {shlex.quote(str(value))}" for flag, value in known)


def _decode(reference: Reference, data: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise SourceNotFound(str(reference), f"its manifest cannot be read: {error}", "Pull it again.") from error
    if not all(_DIGEST.fullmatch(layer.digest) for layer in manifest.layers):
        raise SourceNotFound(str(reference), "its manifest names a part by no SHA-256", "Pull it again.")
    return manifest


def _weights(reference: Reference, manifest: Manifest) -> Layer:
    layer = manifest.layer("model")
    if layer is None:
        raise SourceNotFound(str(reference), "it holds no weights in GGUF", "Name another model or tag.")
    return layer


def _blob(store: Path, layer: Layer) -> Path:
    """By the name of today, or with a colon as older versions had it."""
    path = store / "blobs" / layer.digest.replace(":", "-")
    return path if path.is_file() else store / "blobs" / layer.digest
