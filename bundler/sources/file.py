"""Weights named by a path: a GGUF, a folder that holds one, or another bundle or .llamafile with one inside.

Refuses to know what GGUFs say; whether a file is an archive is known by its end, not by its name.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from bundler.errors import Found, SourceAmbiguous, SourceNotFound
from bundler.file.baked import NOTHING_BAKED, Baked, Part
from bundler.sources import archived
from bundler.sources.choosing import choose_projector
from bundler.sources.resolved import Resolved
from runtime.bundle import is_bundle

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_SPLIT_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")
"""What llama.cpp's gguf-split appends to the name of each part."""

_FILE_NAME = re.compile(r"\.(gguf|loaf|llamafile|safetensors|bin|zip)$", re.IGNORECASE)
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?(@[\w.-]+)?", re.ASCII)
_IN_A_LIBRARY = re.compile(r"[A-Za-z0-9][\w.-]*(:[\w.-]+)?", re.ASCII)


def resolve(model: str) -> Resolved:
    """The weights at the path `model`. Raises `SourceNotFound`, `SourceAmbiguous`, `BundleError`."""
    path = Path(model).expanduser()
    baked = NOTHING_BAKED
    if path.is_dir():
        path = the_only_model(path)
        baked = with_projector(projector_beside(path))
    if not path.is_file():
        raise SourceNotFound(model, "no such file", _meant_by(model))
    if is_bundle(path):
        return archived.from_bundle(path)
    if not _is_gguf(path) and zipfile.is_zipfile(path):
        return archived.from_llamafile(path)
    return Resolved(path, model_name(path), baked=baked)


def _meant_by(model: str) -> str:
    """What to write for `model`, which is no file: as people copy names from the hub and from Ollama's library."""
    if not _FILE_NAME.search(model) and not Path(model).parent.is_absolute():
        if _ON_THE_HUB.fullmatch(model) and not Path(model).parent.exists():
            return f"Did you mean hf:{model}?"
        if _IN_A_LIBRARY.fullmatch(model):
            return f"Did you mean ollama:{model}? From Hugging Face's hub: hf:OWNER/NAME."
    return "Name a .gguf file, a folder that holds one, hf:OWNER/REPO, ollama:NAME, an https address, or 'demo'."


def projector_beside(model: Path) -> Path | None:
    """The projector in the folder of `model`."""
    files = {path.name: path for path in model.parent.glob("*.gguf")}
    chosen = choose_projector(files, model.name)
    return files[chosen] if chosen else None


def with_projector(path: Path | None) -> Baked:
    """What came with weights: the projector at `path`, or nothing."""
    return NOTHING_BAKED if path is None else Baked(parts=(Part("projector", path, path.stem),))


def the_only_model(folder: Path) -> Path:
    """The one model in `folder` or below it: of a split one the first part. Raises as `resolve` does."""
    models = models_in(folder)
    if not models:
        raise SourceNotFound(str(folder), "there is no .gguf file in this folder", "Name another folder, or the file.")
    if len(models) > 1:
        raise SourceAmbiguous(str(folder), [Found(str(path), size_of(path)) for path in models])
    return models[0]


def models_in(folder: Path) -> list[Path]:
    """The GGUFs that hold models, by their names: no later parts, no projectors, no importance matrices."""
    return sorted(path for path in folder.rglob("*.gguf") if path.is_file() and is_model_name(path.name))


def is_model_name(name: str) -> bool:
    """Whether a file of this name would be a model, or the first part of one."""
    lower = name.lower()
    return (
        lower.endswith(".gguf") and not _LATER_PART.search(lower) and "mmproj" not in lower and "imatrix" not in lower
    )


def model_name(path: Path) -> str:
    """What the weights in a file are called: its name, without what says that it is the first part."""
    return _SPLIT_SUFFIX.sub("", path.stem)


def size_of(path: Path) -> int:
    """Bytes of a GGUF, with all parts of it that are there."""
    return sum(part.stat().st_size for part in parts_of(path.name, path.parent.glob("*.gguf")))


def parts_of(name: str, candidates: Iterable[Path]) -> list[Path]:
    """Those of `candidates` that are the GGUF `name`, or parts of the one that `name` is the first of."""
    if not _SPLIT_SUFFIX.search(Path(name).stem):
        return [path for path in candidates if path.name == name]
    stem = _SPLIT_SUFFIX.sub("", Path(name).stem)
    return [path for path in candidates if re.fullmatch(re.escape(stem) + r"-\d{5}-of-\d{5}\.gguf", path.name)]


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"
