"""A GGUF that cannot be used or made smaller, or parts of one that do not make a whole."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError


class GGUFError(LoafError):
    """A weights file that cannot be used. `path` is the file as the user named it."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.path = path


class UnreadableGGUF(GGUFError):
    """The file could not be opened or read. `reason` is what the system said."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, f"{path} cannot be read: {reason}", "Check the path and its permissions.")
        self.reason = reason


class NotGGUF(GGUFError):
    """The file does not start like a GGUF. `looks_like` is what it seems to be instead, if anything."""

    def __init__(self, path: Path, looks_like: str | None) -> None:
        appearance = f"; it looks like {looks_like}" if looks_like else ""
        hint = "Download the model in GGUF format: such a file's name usually ends in .gguf."
        super().__init__(path, f"{path} is not a GGUF file{appearance}", hint)
        self.looks_like = looks_like


class UnsupportedGGUF(GGUFError):
    """A GGUF that is whole, but of a kind that cannot be loaded. `reason` says which."""

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(path, f"{path} cannot be used: {reason}", hint)
        self.reason = reason


class TruncatedGGUF(GGUFError):
    """The file ends too early. `present` is what there is and `needed` the least it must have, in bytes."""

    def __init__(self, path: Path, *, needed: int, present: int) -> None:
        super().__init__(
            path,
            f"{path} is cut short: it has {present:,} bytes and needs at least {needed:,}",
            "Download it again: a download that was interrupted leaves such a file.",
        )
        self.needed = needed
        self.present = present


class MalformedGGUF(GGUFError):
    """The file states something that cannot be. `problem` says what."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            path,
            f"{path} is damaged: {problem}",
            "Download it again; if it stays so, tell whoever made the file.",
        )
        self.problem = problem


class SplitError(LoafError):
    """The parts of a split GGUF do not make a whole. `path` is the part in question."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.path = path


class NotFirstPart(SplitError):
    """A later part was named. `first` is the part to name instead."""

    def __init__(self, path: Path, first: Path) -> None:
        super().__init__(path, f"{path} is not the first part of a split GGUF", f"Name the first: {first}")
        self.first = first


class MissingParts(SplitError):
    """Not all parts lie beside the first. `missing` has the paths where they were looked for."""

    def __init__(self, path: Path, missing: tuple[Path, ...]) -> None:
        shown = ", ".join(part.name for part in missing[:3])
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        super().__init__(
            path,
            f"{path} is a part of a split GGUF, and others are missing: {shown}{more}",
            f"Download them into {path.parent}.",
        )
        self.missing = missing


class MismatchedParts(SplitError):
    """The parts contradict each other, or the names of their files. `problem` says how."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            path,
            f"{path} does not fit the other parts of its split GGUF: {problem}",
            "Download all parts again, from one place, and keep their names.",
        )
        self.problem = problem


class QuantizeError(LoafError):
    """The weights cannot be made smaller as asked."""


class NoSuchFileType(QuantizeError):
    """There is no quantization `name`; `near` is the one that looks most like it."""

    def __init__(self, name: str, near: str | None, known: Sequence[str]) -> None:
        meant = f"; {near} is the nearest" if near else ""
        likely = [] if near is None else difflib.get_close_matches(near, known, n=6, cutoff=0.5)
        some = f"{', '.join(likely)} and others" if likely else ", ".join(known)
        page = "has them all" if likely else "says what they are"
        super().__init__(f"there is no quantization {name!r}{meant}", f"There are {some}: docs/build.md {page}")
        self.name = name
        self.near = near


class QuantizedAlready(QuantizeError):
    """`model` holds weights of the quantized type `has`, and llama.cpp would make `wanted` of what is left of them."""

    def __init__(self, model: str, has: str, wanted: str) -> None:
        super().__init__(
            f"{model}: its weights are quantized already ({has}), and would lose more than those of {wanted} need to",
            f"Take its F16, BF16 or F32 weights, or a file that is {wanted}. --allow-requantize does it all the same.",
        )
        self.model = model
        self.has = has
        self.wanted = wanted


class ImportanceMissing(QuantizeError):
    """`wanted` makes garbage of the weights where it is not known which matter: those of `tensor`, for one.

    `importance` is the importance matrix that does not have it; None where there is none.
    """

    def __init__(self, model: str, wanted: str, tensor: str, importance: Path | None) -> None:
        lacks = "there is none" if importance is None else f"{importance} has nothing for {tensor}"
        super().__init__(
            f"{model}: {wanted} needs an importance matrix, and {lacks}",
            "Name one that was made for this model with --imatrix FILE (llama.cpp's llama-imatrix makes them), "
            "or take Q3_K_S or larger.",
        )
        self.model = model
        self.wanted = wanted
        self.tensor = tensor
        self.importance = importance


class ImportanceUnusable(QuantizeError):
    """The file `path` is no importance matrix, or not one of the model."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: cannot be used as an importance matrix: {problem}",
            "Name one that llama.cpp's llama-imatrix has made of this very model.",
        )
        self.path = path
        self.problem = problem


class QuantizingFailed(QuantizeError):
    """llama.cpp's quantizer gave up or crashed. `reason` is what it said last; `log` has all of it."""

    def __init__(self, model: str, reason: str, log: Path) -> None:
        super().__init__(f"{model}: cannot be quantized: {reason}", f"Nothing was written. All that was said: {log}")
        self.model = model
        self.reason = reason
        self.log = log
