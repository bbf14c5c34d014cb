"""Which of several GGUFs is meant, by the names of their files and what was written to choose one.

Knows names and sizes. Refuses to know where the files are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from bundler.errors import Found, SourceAmbiguous, SourceNotFound

_QUANTIZATION = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|F16|BF16|F32))(?=[-.])", re.IGNORECASE
)  # fmt: skip


def choose(models: Mapping[str, int], selector: str, spec_of: Callable[[str], str]) -> str:
    """The one of `models`, names with their sizes in bytes, that `selector` means; any where it is "".

    A selector is a file's name, a quantization, or a part of a name. `spec_of` says what to write on the command line
    with another selector. Raises `SourceAmbiguous`, `SourceNotFound`.
    """
    if not models:
        raise SourceNotFound(spec_of(selector), "there is no GGUF in it", "Look for one whose name ends in -GGUF.")
    wanted = selector.lower()
    fitting = [name for name in models if wanted in (name.lower(), _base(name).lower(), quantization(name).lower())]
    fitting = fitting or [name for name in models if wanted in name.lower()]
    if len(fitting) == 1:
        return fitting[0]
    choices = [Found(spec_of(_shortest(name, models)), models[name]) for name in sorted(fitting or models)]
    if not fitting:
        listed = ", ".join(choice.spec for choice in choices[:20])
        raise SourceNotFound(spec_of(selector), f"there is no {selector!r} in it", f"There are: {listed}")
    raise SourceAmbiguous(spec_of(selector), choices)


def choose_projector(names: Iterable[str], model: str) -> str | None:
    """The one of `names` that is the projector of `model`, in the same folder; of several, one in F16 or BF16."""
    folder = PurePosixPath(model).parent
    found = [name for name in names if is_projector_name(name) and PurePosixPath(name).parent == folder]
    order = {"F16": 0, "BF16": 1}
    return min(found, key=lambda name: (order.get(quantization(name).upper(), 2), name), default=None)


def is_projector_name(name: str) -> bool:
    """Whether a file of this name would be a projector, as llama.cpp's converter calls them."""
    return "mmproj" in _base(name).lower() and name.lower().endswith(".gguf")


def quantization(name: str) -> str:
    """The part of a file's name that says how its weights are quantized, "" where none does."""
    match = _QUANTIZATION.search(name)
    return match[1] if match else ""


def _shortest(name: str, models: Mapping[str, int]) -> str:
    """What to write for a file: its quantization, where no other has the same."""
    wanted = quantization(name)
    return wanted if wanted and [other for other in models if quantization(other) == wanted] == [name] else name


def _base(name: str) -> str:
    return PurePosixPath(name).name
