"""`loaf run`: the frozen program, with weights that stay where they are.

It is launched from a bundle that holds nothing but what is said of the weights, which lie beside it by links. So all
that comes with them applies as in a bundle that holds them. It is kept in the build cache, and takes a few kilobytes.

Refuses to know what the flags mean: they are the program's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

from bundler.asking.program import unpacked_program
from bundler.asking.rehearsal import runtime_for_here
from bundler.choosing.models import Choose, ChosenModel, choose_models, file_name, refuse
from bundler.choosing.parts import choose_parts
from bundler.errors import NoProgramForHere
from bundler.file.baked import Baked
from bundler.file.content import FileRange
from bundler.file.digests import recall
from bundler.file.layout import lay_out
from bundler.file.plan import Plan, PlannedPart
from bundler.file.replacing import replacing
from bundler.file.writing import write_file
from bundler.gguf import find_parts
from bundler.making.planning import planned_model, planned_part, planned_texts
from bundler.programs import Supply
from bundler.progress import Progress
from bundler.store.cache import cached, key_of
from bundler.store.locking import keep_for_life

_NEEDS_BYTES = 1_000_000
"""Texts, and what is said of the weights."""

_MAPPED_AT = 32
"""Bytes of which the place of tensors must be a multiple: `TENSOR_ALIGNMENT` in ggml's src/ggml-impl.h."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is run: the frozen program, and the bundle that it is told of."""

    program: Path
    bundle: Path


def prepare(model: str, supply: Supply, progress: Progress, choose: Choose = refuse) -> Launch:
    """Everything that running MODEL takes. Raises what `loaf build` raises for it."""
    (chosen,) = choose_models(model, None, (), progress, choose)
    baked = _with_what_its_place_asks_for(chosen)
    models = [planned_model(chosen), *map(planned_part, choose_parts(baked.parts, [chosen]))]
    runtimes, packs = supply.runtimes(), supply.packs_at_hand()
    sees = any(model.about.role == "projector" for model in models)
    runtime = runtime_for_here(runtimes.programs)
    if runtime is None:
        raise NoProgramForHere(model, [one.about.platform for one in runtimes.programs])
    media = supply.media([runtime.about.platform]).packs if sees else ()
    plan = Plan(
        name=chosen.name,
        loaf=runtimes.loaf,
        models=tuple(replace(model, weights=_beside(model.weights)) for model in models),
        runtimes=(),
        packs=tuple(replace(pack, archive=_beside(pack.archive)) for pack in packs),
        media=tuple(replace(pack, archive=_beside(pack.archive)) for pack in media),
        documents=planned_texts(baked),
        args=baked.arguments(),
        system=baked.system,
        chat_template=baked.chat_template,
    )
    archives = (*(pack.archive for pack in packs), *(pack.archive for pack in media))
    parts = (*(model.weights for model in models), *archives)
    links = dict(link for part in parts for link in _links(part))
    return Launch(unpacked_program(runtime), _bundle(plan, links))


def become(launch: Launch, flags: Sequence[str]) -> NoReturn:
    """Go on as the program, in this process: signals and the exit code are its own. Raises `OSError`."""
    for entry in (launch.program.parent, launch.bundle.parent):
        with suppress(OSError):  # a cache that is only read is not pruned either
            keep_for_life(entry)
    # As the launcher does (templates/launcher.sh): every token reads all weights, sooner in huge pages.
    tunables = {"GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES") or "glibc.malloc.hugetlb=1"}
    environment = {**os.environ, **tunables, "LOAF_BUNDLE": str(launch.bundle)}
    os.execve(launch.program, [str(launch.program), *flags], environment)


def _with_what_its_place_asks_for(model: ChosenModel) -> Baked:
    """llama.cpp maps no weights that lie askew in another file: such are read into memory."""
    baked = model.source.baked
    lies_askew = model.source.size is not None and model.header.data_offset % _MAPPED_AT
    return Baked(flags="--no-mmap").over(baked) if lies_askew else baked


def _bundle(plan: Plan, links: dict[str, Path]) -> Path:
    """The bundle, with `links` beside it: one for all that is the same, and for weights that have not changed since."""
    name = f"{file_name(plan.name)}.loaf"

    def make(folder: Path) -> None:
        for link, path in links.items():
            (folder / link).symlink_to(path)
        with replacing(folder / name, 0o666) as fd:
            write_file(lay_out(plan), fd, lambda _bytes: None)

    files = {link: (str(path), path.stat().st_size, path.stat().st_mtime_ns) for link, path in links.items()}
    return cached("run", key_of(plan=repr(plan), files=repr(files)), make, needs=_NEEDS_BYTES) / name


def _beside(part: PlannedPart) -> PlannedPart:
    """The part as one that the bundle does not hold: of a split model, the first part of that."""
    first = next(piece for piece in part.content if isinstance(piece, FileRange))
    is_whole = len(part.content) == 1
    known = recall(part.content)
    return replace(
        part,
        content=(first if is_whole else FileRange(first.path, 0, first.path.stat().st_size),),
        stated=part.stated or (known.sha256 if known else None),
        file=PurePosixPath(part.name).name if is_whole else first.path.name,
        file_offset=first.offset if is_whole else 0,
    )


def _links(part: PlannedPart) -> Iterator[tuple[str, Path]]:
    """Names beside the bundle, and the files that they stand for."""
    paths = [piece.path for piece in part.content if isinstance(piece, FileRange)]
    if len(part.content) == 1:
        yield PurePosixPath(part.name).name, paths[0].absolute()
    else:
        yield from ((path.name, path.absolute()) for path in find_parts(paths[0]))
