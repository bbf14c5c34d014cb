"""A bundle as a container image: a folder in OCI's layout, which registries and container engines take.

Knows which parts of the bundle become which layer, and what a container starts. Refuses to know how layers look
(`layers.py`) and how they are listed (`oci.py`).
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bundler.errors import BundleNotIntact, FolderTaken, NoCLibraryInside, NoRoom
from bundler.file.copying import Advance
from bundler.file.layout import lay_out
from bundler.file.plan import Plan, PlannedModel, PlannedRuntime, plan_of
from bundler.file.replacing import replacing
from bundler.file.writing import write_file
from bundler.imaging.layers import COPY, PROGRAM, ROOT, Layer, file_layer, program_layer, whole_file
from bundler.imaging.oci import Blobs, Descriptor, Start
from bundler.looking.verify import verify
from runtime.bundle import Bundle, check_beside, check_has_models, open_bundle

PORT = 8080
_BUNDLE = "model.loaf"
_NOBODY = "65532:65532"
"""A number without a name, as images without a system have it: Kubernetes' `runAsNonRoot` asks for a number."""


def write_image(path: Path, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write the bundle at `path` into the new `folder` as an image for each platform that it has a program for.

    Returns the platforms. `folder` is there whole, or not at all. Raises `BundleError`, `BundleNotIntact`,
    `FolderTaken`, `NoCLibraryInside`, `NoRoom`, `SourceChanged`, `OSError`.
    """
    bundle = open_bundle(path)
    check_has_models(bundle)
    check_beside(bundle)
    plan = plan_of(bundle)
    _check(bundle, plan, folder, advance)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        platforms = _write(plan, work / "image", work / "thin.loaf", advance)
        if folder.is_dir():
            folder.rmdir()  # it is empty
        (work / "image").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return platforms


def _check(bundle: Bundle, plan: Plan, folder: Path, advance: Advance) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FolderTaken(folder)
    for runtime in plan.runtimes:
        if all(library.name != "glibc" for library in runtime.about.libraries):
            raise NoCLibraryInside(bundle.path, runtime.about.platform)
    there = next(parent for parent in folder.absolute().parents if parent.is_dir())
    needed = plan.size + 2 * sum(part.size for part in plan.programs)  # unpacked, and twice as they are for a moment
    if (free := shutil.disk_usage(there).free) < needed:
        raise NoRoom(folder, needed, free)
    if damages := verify(bundle, advance):
        raise BundleNotIntact(bundle.path, [f"{damage.part}: {damage.problem}" for damage in damages])


def _write(plan: Plan, folder: Path, thin: Path, advance: Advance) -> tuple[str, ...]:
    folder.mkdir()
    blobs = Blobs(folder)
    plan = replace(plan, models=tuple(_beside(model) for model in plan.models))
    files = [file_layer(model.weights.file, model.weights.content, 0o644) for model in plan.models]
    weights = tuple(_written(blobs, layer, advance) for layer in files)
    images = {}
    for runtime in plan.runtimes:
        layers = (
            *weights,
            _written(blobs, program_layer(runtime), advance),
            _written(blobs, _bundle_layer(_for_one(plan, runtime), thin, advance), advance),
        )
        platform = runtime.about.platform
        images[platform] = blobs.image(platform, layers, _start(runtime), plan.name)
    blobs.name(images)
    return tuple(images)


def _written(blobs: Blobs, layer: Layer, advance: Advance) -> tuple[Layer, Descriptor]:
    return layer, blobs.layer(layer, advance)


def _beside(model: PlannedModel) -> PlannedModel:
    """Its weights are in a file beside the bundle: in a layer of their own."""
    part = model.weights
    file = PurePosixPath(part.name).name
    return replace(model, weights=replace(part, known=None, stated=part.sha256, file=file, file_offset=0))


def _for_one(plan: Plan, runtime: PlannedRuntime) -> Plan:
    packs = tuple(pack for pack in plan.packs if pack.about.platform == runtime.about.platform)
    media = tuple(one for one in plan.media if one.about.platform == runtime.about.platform)
    return replace(plan, runtimes=(runtime,), packs=packs, media=media)


def _bundle_layer(plan: Plan, file: Path, advance: Advance) -> Layer:
    """What else the bundle holds: the program reads its manifest and its defaults, and unpacks its packs for GPUs."""
    with replacing(file, 0o666) as fd:
        write_file(lay_out(plan), fd, advance)
    return file_layer(_BUNDLE, whole_file(file), 0o755)


def _start(runtime: PlannedRuntime) -> Start:
    """A server that the container's ports can be forwarded to: loopback is the container's own."""
    return Start(
        program=f"/{PROGRAM / runtime.about.program}{COPY}",
        arguments=("--server", "--nobrowser", "--host", "0.0.0.0", "--port", str(PORT)),
        environment=(f"LOAF_BUNDLE=/{ROOT / _BUNDLE}", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"),
        user=_NOBODY,
        port=PORT,
    )
