"""Weights in files of their own, beside a bundle that is small: where one large file cannot be.

Knows which file is whose. Refuses to know how the bundle is written.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from bundler.errors import FileTaken, TargetIsSource
from bundler.file.content import FileRange
from bundler.file.copying import Advance
from bundler.file.digests import check_digest, copied, digests_of
from bundler.file.layout import lay_out
from bundler.file.plan import Plan, PlannedPart, plan_of
from bundler.file.replacing import replacing
from bundler.file.target import check_room
from bundler.file.writing import write_file
from runtime.bundle import check_beside, check_has_models, open_bundle


def split(path: Path, target: Path, advance: Advance) -> tuple[Path, ...]:
    """Write the bundle at `path` anew as `target`, with its weights beside that; returns all files.

    Raises `TargetIsSource`, and what `put_beside` raises.
    """
    bundle = open_bundle(path)
    check_has_models(bundle)
    check_beside(bundle)
    if target.exists() and target.samefile(path):
        raise TargetIsSource(target)
    plan = put_beside(plan_of(bundle), target, advance)
    with replacing(target, 0o777) as fd:
        write_file(lay_out(plan), fd, advance)
    return (target, *(target.parent / part.file for part in plan.beside))


def put_beside(plan: Plan, target: Path, advance: Advance) -> Plan:
    """Give all weights files of their own in the folder of `target`; returns what `plan` is then.

    Raises `NoRoom`, `FileTaken` where another file has the name, `DigestMismatch`, `AnotherDigest`, `SourceChanged`,
    `OSError`.
    """
    check_room(target, lay_out(plan).size)
    models = (replace(model, weights=_put(model.weights, target.parent, advance)) for model in plan.models)
    return replace(plan, models=tuple(models))


def _put(part: PlannedPart, folder: Path, advance: Advance) -> PlannedPart:
    file = folder / PurePosixPath(part.name).name
    sha256 = _sha256_in(file, part, advance) if file.exists() else _written(file, part, advance)
    content = (FileRange(file, 0, part.size),)
    return replace(part, content=content, known=None, stated=sha256, wanted=None, file=file.name)


def _sha256_in(file: Path, part: PlannedPart, advance: Advance) -> str:
    """What the weights come to, which `file` holds already. Raises `FileTaken` where it holds something else."""
    if not file.is_file() or file.stat().st_size != part.size:
        raise FileTaken(file)
    sha256 = digests_of((FileRange(file, 0, part.size),), advance).sha256
    if sha256 != (part.known or digests_of(part.content, lambda _bytes: None)).sha256:
        raise FileTaken(file)
    check_digest(part, sha256)
    return sha256


def _written(file: Path, part: PlannedPart, advance: Advance) -> str:
    with replacing(file, 0o666) as fd:
        return copied(part, fd, 0, advance).sha256
