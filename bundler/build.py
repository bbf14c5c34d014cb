"""Builds a bundle: resolve → inspect → plan → write.

Knows the order of things in the file. Refuses to know which models go in (`models.py`), how the archive is written
(`archive.py`) and how the programs came to be (`freeze/`, `packs/`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bundler.archive import ArchiveWriter, Stored
from bundler.content import Content, FileRange, Inline, content_size
from bundler.copying import Digests, write_all
from bundler.digests import recall, remember
from bundler.errors import DigestMismatch, NoRoom, TargetIsNoFile, TargetIsSource, UnusableText
from bundler.freeze import FrozenRuntime
from bundler.launcher import LaunchTarget, render_launcher
from bundler.models import MAX_NAME, Choose, ChosenModel, choose_models, file_name, refuse
from bundler.packs import BackendPack, Recipe, compiled_pack
from bundler.progress import Progress
from bundler.replacing import replacing
from runtime import __version__
from runtime.arguments import parse_arguments
from runtime.bundle import (
    ALIGNMENT,
    ARGS,
    LICENSES,
    MANIFEST,
    RUNTIMES,
    SCHEMA,
    Entry,
    Manifest,
    Model,
    Pack,
    Runtime,
)

_TAIL_ALLOWANCE = 16 * ALIGNMENT
"""Bytes that the licences, the manifest, the directory and alignment take at most, for the check of free space."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the user asked for: MODEL as on the command line, and what to bake in.

    `also` are further models, each NAME=MODEL or MODEL. `args` and `system` None: what came with the weights of the
    first, if anything. `backends`: for which there are to be packs.
    """

    model: str
    also: tuple[str, ...] = ()
    output: Path | None = None
    name: str | None = None
    args: str | None = None
    system: str | None = None
    backends: tuple[Recipe, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that goes into the bundle, before a byte of it is written."""

    target: Path
    models: tuple[ChosenModel, ...]
    runtime: FrozenRuntime
    packs: tuple[BackendPack, ...]
    args: str
    system: str | None


@dataclass(frozen=True, slots=True)
class Built:
    """The finished bundle. Sizes in bytes."""

    path: Path
    size: int
    weights_size: int
    build_id: str


def build(
    request: BuildRequest, freeze: Callable[[], FrozenRuntime], progress: Progress, choose: Choose = refuse
) -> Built:
    """Build the bundle and return what was built. The target is replaced only when the new file is whole.

    `freeze` is called once the weights are known to be good: it may take minutes, and so may compiling packs. `choose`
    is asked where a MODEL could mean several.

    Raises `LoafError` for everything a person can act on, `OSError` for what the disk says.
    """
    _check_texts(request)
    models = choose_models(request.model, request.name, request.also, progress, choose)
    target = request.output or Path(f"{file_name(models[0].name)}.loaf")
    for model in models:
        _check_target(target, model.weights)
    packs = tuple(compiled_pack(recipe, progress) for recipe in request.backends)
    plan = _plan(request, target, models, freeze(), packs)
    _check_room(plan)
    with (
        progress.step(f"Writing {plan.target}", _weight(plan), "bytes") as advance,
        replacing(plan.target, 0o777) as fd,
    ):
        return _write(plan, fd, advance)


def _check_texts(request: BuildRequest) -> None:
    """Refuse what cannot be stored: bytes that are no text, a name that is none, quotes that are not closed."""
    for option, text in (("--name", request.name), ("--args", request.args), ("--system", request.system)):
        if any("\ud800" <= character <= "\udfff" for character in text or ""):
            raise UnusableText(option, "it holds bytes that are not UTF-8")
    if request.name is not None and not (0 < len(request.name) <= MAX_NAME and request.name.isprintable()):
        raise UnusableText("--name", f"a name has 1 to {MAX_NAME} printable characters")
    parse_arguments(request.args or "", {})


def _plan(
    request: BuildRequest,
    target: Path,
    models: tuple[ChosenModel, ...],
    runtime: FrozenRuntime,
    packs: tuple[BackendPack, ...],
) -> Plan:
    source = models[0].source
    return Plan(
        target=target,
        models=models,
        runtime=runtime,
        packs=packs,
        args=source.args if request.args is None else request.args,
        system=source.system if request.system is None else request.system,
    )


def _check_target(target: Path, weights: Content) -> None:
    """Refuse early what would fail late, or destroy something: a folder, a device, the weights themselves."""
    if target.exists() and not target.is_file():
        raise TargetIsNoFile(target)
    for piece in weights:
        if isinstance(piece, FileRange) and target.exists() and target.samefile(piece.path):
            raise TargetIsSource(target)


def _check_room(plan: Plan) -> None:
    needed = _weight(plan) + (1 + len(plan.models) + len(plan.packs)) * ALIGNMENT + _TAIL_ALLOWANCE
    free = shutil.disk_usage(plan.target.parent).free
    if free < needed:
        raise NoRoom(plan.target, needed, free)


def _weight(plan: Plan) -> int:
    weights = sum(content_size(model.weights) for model in plan.models)
    return weights + plan.runtime.size + sum(pack.size for pack in plan.packs)


def _write(plan: Plan, fd: int, advance: Callable[[int], None]) -> Built:
    """Write everything behind the launcher's place, then the launcher, which states sizes and positions."""
    writer = ArchiveWriter(fd, ALIGNMENT, ALIGNMENT, advance)
    weights = [_write_weights(writer, model) for model in plan.models]
    core = writer.add(*_core(plan.runtime), aligned=True)
    packs = [
        writer.add(_pack_entry(pack), (FileRange(pack.archive, 0, pack.size),), aligned=True) for pack in plan.packs
    ]
    args = writer.add(ARGS, (Inline(plan.args.encode()),))
    licenses = writer.add(f"{LICENSES}runtime.txt", (Inline(plan.runtime.licenses.read_bytes()),))
    stored = [*weights, core, *packs, args, licenses]

    manifest_size = len(_encode(_manifest(plan, b"", stored)))
    bundle_size = writer.end_with(MANIFEST, manifest_size)
    launcher = render_launcher(plan.models[0].name, __version__, bundle_size, [_target(plan.runtime, core)])
    manifest = _manifest(plan, launcher, stored)
    writer.add(MANIFEST, (Inline(_encode(manifest)),))
    size = writer.finish()
    assert size == bundle_size, "the launcher states another size than was written"
    write_all(fd, launcher, 0)
    return Built(plan.target, size, sum(entry.size for entry in weights), manifest.build_id)


def _write_weights(writer: ArchiveWriter, model: ChosenModel) -> Stored:
    known = recall(model.weights)
    weights = writer.add(model.entry, model.weights, aligned=True, known=known)
    if model.source.sha256 not in (None, weights.sha256):
        hint = "Delete what the source holds of it, and fetch it again (loaf verify tells of a bundle which part)."
        raise DigestMismatch(model.source.origin or model.entry, hint)
    if known is None:
        remember(model.weights, Digests(weights.sha256, weights.crc32))
    return weights


def _core(runtime: FrozenRuntime) -> tuple[str, Content]:
    return _core_entry(runtime), (FileRange(runtime.archive, 0, runtime.size),)


def _core_entry(runtime: FrozenRuntime) -> str:
    return f"{RUNTIMES}{runtime.platform}/core.tar.gz"


def _pack_entry(pack: BackendPack) -> str:
    return f"{RUNTIMES}{pack.platform}/{pack.backend}.tar.gz"


def _target(runtime: FrozenRuntime, core: Stored) -> LaunchTarget:
    return LaunchTarget(
        platform=runtime.platform,
        offset=core.data_offset,
        size=core.size,
        unpacked_size=runtime.unpacked_size,
        sha256=core.sha256,
        glibc=runtime.glibc,
        executable=runtime.executable,
    )


def _manifest(plan: Plan, launcher: bytes, stored: list[Stored]) -> Manifest:
    """The manifest. Its length does not depend on the launcher's content, only on the launcher being there."""
    unsigned = Manifest(
        schema=SCHEMA,
        build_id="",
        name=plan.models[0].name,
        loaf=__version__,
        models=tuple(map(_model, plan.models)),
        runtimes=(
            Runtime(
                platform=plan.runtime.platform,
                entry=_core_entry(plan.runtime),
                unpacked_size=plan.runtime.unpacked_size,
                glibc=plan.runtime.glibc,
                python=plan.runtime.python,
                packages=plan.runtime.packages,
            ),
        ),
        entries=(
            Entry("", ALIGNMENT, hashlib.sha256(launcher).hexdigest()),
            *(Entry(entry.name, entry.size, entry.sha256) for entry in stored),
        ),
        system=plan.system,
        packs=tuple(_pack(pack) for pack in plan.packs),
    )
    build_id = hashlib.sha256(msgspec.json.encode(unsigned)).hexdigest()
    return msgspec.structs.replace(unsigned, build_id=build_id)


def _pack(pack: BackendPack) -> Pack:
    return Pack(pack.platform, pack.backend, _pack_entry(pack), pack.unpacked_size, pack.library, pack.needs)


def _model(model: ChosenModel) -> Model:
    info = model.info
    return Model(
        name=model.name,
        entry=model.entry,
        role="model",
        architecture=info.architecture,
        parameter_count=info.parameter_count,
        quantization=info.quantization,
        context_length=info.context_length,
        license=info.license,
        has_chat_template=info.chat_template is not None,
        keeps_cache=bool(info.layers),
        origin=model.source.origin,
    )


def _encode(manifest: Manifest) -> bytes:
    """Readable where someone prints it: `unzip -p FILE manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
