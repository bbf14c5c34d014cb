"""Which models a bundle serves: found, looked into, and given names that differ.

Knows what the command line says of them. Refuses to know where they come to lie (`bundler/file/`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bundler.errors import GivenTwice, NameTaken, NotAModel, SourceAmbiguous, UnusableText
from bundler.file.content import Content, FileRange
from bundler.gguf import GGUF, FileKind, ModelInfo, summarize, weights_header
from bundler.progress import Progress
from bundler.sources import Resolved, resolve
from runtime.bundle import MODELS

MAX_NAME = 200
"""Characters. File systems take names of 255 bytes."""

_NAME = re.compile(rf"[\w.+@-]{{1,{MAX_NAME}}}")

Choose = Callable[[SourceAmbiguous], str]
"""Says which of its choices is meant, or raises it."""


def refuse(error: SourceAmbiguous) -> str:
    """The choice where nobody can be asked."""
    raise error


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model that goes into the bundle: its name for clients, the entry it becomes, and where its bytes are.

    `info` sums up what its `header` says.
    """

    name: str
    entry: str
    header: GGUF
    info: ModelInfo
    weights: Content
    source: Resolved


def choose_models(
    model: str,
    name: str | None,
    also: Sequence[str],
    progress: Progress,
    choose: Choose,
    rename: Callable[[str], str] = str,
) -> tuple[ChosenModel, ...]:
    """MODEL, called `name` if that is given, and those of `--also`, each NAME=MODEL or MODEL.

    `rename` makes of the name that the source of MODEL gives it the one that it will have.
    Raises `UnusableText`, `NameTaken`, `GivenTwice`, `NotAModel`, and what sources and GGUFs raise.
    """
    wanted = [(name, model), *map(parse_also, also)]
    chosen: list[ChosenModel] = []
    for given, spec in wanted:
        source = _resolve(spec, progress, choose)
        header, weights = weights_header(source.path, source.offset, source.size)
        info = summarize(header)
        if info.kind is not FileKind.MODEL:
            raise NotAModel(source.path, info.kind.value)
        if not chosen:
            source = replace(source, name=rename(source.name))
        entry = free_entry(source.name, [one.entry for one in chosen])
        one = ChosenModel(given or file_name(source.name), entry, header, info, weights, source)
        _check_differs(one, spec, chosen)
        chosen.append(one)
    return tuple(chosen)


def parse_also(text: str) -> tuple[str | None, str]:
    """(NAME, MODEL) of `NAME=MODEL` or `MODEL`. What has a slash or a colon before the `=` is all MODEL.

    Raises `UnusableText`.
    """
    name, equals, model = text.partition("=")
    if not equals or set(name) & set("/:"):
        return None, text
    if not _NAME.fullmatch(name):
        raise UnusableText("--also", f"{name!r} is no name: 1 to {MAX_NAME} letters, digits and any of . _ - + @")
    return name, model


def file_name(name: str) -> str:
    """`name` as one that is safe in every folder, archive and shell."""
    return re.sub(r"[^\w.+=@-]+", "_", name)[:MAX_NAME] or "model"


def _resolve(spec: str, progress: Progress, choose: Choose) -> Resolved:
    try:
        return resolve(spec, progress)
    except SourceAmbiguous as error:
        return resolve(choose(error), progress)


def free_entry(source_name: str, entries: Sequence[str]) -> str:
    """The source's own name, with a number where two have the same; also where letters' case cannot tell them apart."""
    taken = {entry.casefold() for entry in entries}
    stem = f"{MODELS}{file_name(source_name)}"
    candidates: Iterator[str] = (f"{stem}.gguf" if n == 1 else f"{stem}-{n}.gguf" for n in count(1))
    return next(entry for entry in candidates if entry.casefold() not in taken)


def _check_differs(new: ChosenModel, spec: str, chosen: Sequence[ChosenModel]) -> None:
    """Two models may share neither a name nor their bytes."""
    for one in chosen:
        if _place(one.weights) == _place(new.weights):
            raise GivenTwice(spec, one.name)
        if one.name.casefold() == new.name.casefold():
            raise NameTaken(new.name, spec)


def _place(weights: Content) -> tuple[int, int, int]:
    """Where the first tensors lie: the device, the file's number there, the offset in it."""
    first = next(piece for piece in weights if isinstance(piece, FileRange))
    stat = first.path.stat()
    return stat.st_dev, stat.st_ino, first.offset
