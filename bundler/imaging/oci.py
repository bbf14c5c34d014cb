"""OCI's image layout: blobs named by what they come to, and the texts that say how they make an image.

Source of all names and forms: OCI Image Format Specification 1.0 (image-layout.md, config.md, manifest.md,
image-index.md). Refuses to know what is in a layer, and writes no time anywhere: same parts, same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bundler.file.copying import Advance, write_all
from bundler.file.digests import copied
from bundler.file.plan import PlannedPart
from bundler.file.replacing import replacing
from bundler.imaging.layers import Layer

TAG = "latest"
"""What the image is called in the layout: skopeo, umoci and podman ask by it."""

_TYPE = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""`uname -m` → Go's GOARCH, which is what OCI names architectures by."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where a blob is: `digest` as sha256:HEX, `size` in bytes."""

    kind: str
    digest: str
    size: int

    def form(self) -> dict[str, Any]:
        """As the specification writes it."""
        return {"mediaType": self.kind, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Start:
    """What a container does: `program` with `arguments`, the latter being what `docker run IMAGE ...` replaces."""

    program: str
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    user: str
    port: int


class Blobs:
    """The blobs of the layout in `folder`, which is empty at first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self._put("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def layer(self, layer: Layer, advance: Advance) -> Descriptor:
        """Write it. Raises `SourceChanged`, `OSError`."""
        kept = self._blobs / "layer"
        with replacing(kept, 0o666) as fd:
            sha256 = copied(PlannedPart("layer", layer.content), fd, 0, advance).sha256
        kept.replace(self._blobs / sha256)
        return Descriptor(f"{_TYPE}.layer.v1.{layer.form}", f"sha256:{sha256}", layer.size)

    def image(
        self, platform: str, layers: tuple[tuple[Layer, Descriptor], ...], start: Start, title: str
    ) -> Descriptor:
        """Write the configuration and the manifest of the image for `platform`."""
        architecture = {"architecture": _ARCHITECTURES[platform.rpartition("-")[2]], "os": "linux"}
        config = architecture | {
            "config": {
                "User": start.user,
                "ExposedPorts": {f"{start.port}/tcp": {}},
                "Env": list(start.environment),
                "Entrypoint": [start.program],
                "Cmd": list(start.arguments),
                "WorkingDir": "/",
                "Labels": {"org.opencontainers.image.title": title},
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [layer.diff_id or descriptor.digest for layer, descriptor in layers],
            },
            "history": [{"created_by": f"loaf image: {layer.holds}"} for layer, _descriptor in layers],
        }
        return self._text(
            f"{_TYPE}.manifest.v1+json",
            {
                "schemaVersion": 2,
                "mediaType": f"{_TYPE}.manifest.v1+json",
                "config": self._text(f"{_TYPE}.config.v1+json", config).form(),
                "layers": [descriptor.form() for _layer, descriptor in layers],
            },
        )

    def name(self, images: dict[str, Descriptor]) -> None:
        """Give the images, by platform, the tag: one by its manifest, several through an index of their own."""
        if len(images) == 1:
            (named,) = images.values()
        else:
            listed = [
                image.form()
                | {"platform": {"architecture": _ARCHITECTURES[platform.rpartition("-")[2]], "os": "linux"}}
                for platform, image in images.items()
            ]
            named = self._text(f"{_TYPE}.index.v1+json", {"schemaVersion": 2, "manifests": listed})
        entry = named.form() | {"annotations": {"org.opencontainers.image.ref.name": TAG}}
        self._put("index.json", {"schemaVersion": 2, "manifests": [entry]})

    def _text(self, kind: str, form: dict[str, Any]) -> Descriptor:
        text = msgspec.json.encode(form)
        sha256 = hashlib.sha256(text).hexdigest()
        with replacing(self._blobs / sha256, 0o666) as fd:
            write_all(fd, text, 0)
        return Descriptor(kind, f"sha256:{sha256}", len(text))

    def _put(self, name: str, form: dict[str, Any]) -> None:
        with replacing(self._folder / name, 0o666) as fd:
            write_all(fd, msgspec.json.encode(form), 0)


def _platform(name: str) -> dict[str, str]:
    system, machine = name.split("-", 1)
    return {"architecture": _ARCHITECTURES[machine], "os": system}
