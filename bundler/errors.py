"""What can go wrong while bundling, each with its fields.

LoafError
├── SourceError          the weights that MODEL names cannot be had
│   ├── SourceNotFound
│   ├── SourceAmbiguous
│   ├── SourceChanged
│   ├── DownloadFailed
│   ├── DigestMismatch
│   ├── AnotherDigest
│   ├── NotAModel
│   ├── NameTaken
│   ├── GivenTwice
│   ├── PartMisfit
│   └── PartNameTaken
├── QuantizeError        the weights cannot be made smaller as asked
│   ├── NoSuchFileType
│   ├── QuantizedAlready
│   ├── ImportanceMissing
│   ├── ImportanceUnusable
│   └── QuantizingFailed
├── TargetError          the bundle cannot be written where it was asked for
│   ├── TargetIsSource
│   ├── TargetIsNoFile
│   ├── NoRoom
│   ├── NoRoomToChange
│   ├── BundleBusy
│   ├── BundleNotWritable
│   ├── FileTaken
│   └── AnotherPlatform
├── UnusableText         an option's text cannot be stored in a bundle
├── DefaultsRefused      what is baked in makes no sense to the bundle that was built
├── RecipeError          a recipe cannot be read, or says what it cannot
├── BundleNotIntact      parts of a bundle are not as they were built
├── TrustError           signing, and checking who signed
│   ├── KeyUnusable
│   ├── NotSigned
│   ├── SignatureWrong
│   └── ChangeUnfinished
├── UnsafeEntryName      an archive's entry would be written outside the folder
├── GGUFError            the weights file is not a GGUF, is cut short, or states nonsense
│   ├── UnreadableGGUF   missing, a folder, no permission, a failing disk
│   ├── NotGGUF
│   ├── UnsupportedGGUF  of a kind that llama.cpp does not load
│   ├── TruncatedGGUF
│   └── MalformedGGUF
├── SplitError           the parts of a split GGUF do not make a whole
│   ├── NotFirstPart
│   ├── MissingParts
│   └── MismatchedParts
├── CacheError           the folder where compiled and frozen things are kept
│   ├── CacheFull
│   └── CacheUnusable
└── FreezeError          making the runtime that goes into a bundle
    ├── CompilerMissing
    ├── ToolchainMissing
    ├── NoSuchPack
    ├── PythonUnsuitable
    ├── PackagesUnreachable
    └── StepFailed
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.text import human_size
from runtime.errors import LoafError

if TYPE_CHECKING:
    from bundler.sources.resolved import Found


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


class CacheError(LoafError):
    """The build cache. `folder` is the folder in question."""

    def __init__(self, folder: Path, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.folder = folder


class CacheFull(CacheError):
    """No space is left where builds are kept. `free` and `needs` are bytes."""

    def __init__(self, folder: Path, free: int, needs: int) -> None:
        super().__init__(
            folder,
            f"the disk of {folder} has {free / 1e6:.0f} MB free, and about {needs / 1e6:.0f} MB are needed",
            "free some space, or set LOAF_BUILD_CACHE to a folder on a larger disk",
        )
        self.free = free
        self.needs = needs


class CacheUnusable(CacheError):
    """Nothing can be written where builds are kept."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            folder,
            f"the build cache {folder} cannot be used: {reason}",
            "set LOAF_BUILD_CACHE to a folder that you can write to",
        )
        self.reason = reason


class FreezeError(LoafError):
    """The runtime for a bundle could not be made."""


class CompilerMissing(FreezeError):
    """llama.cpp has to be compiled, and `command` is not there to do it."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"no C++ compiler: `{command}` is not on PATH",
            "install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++; "
            "Arch: pacman -S base-devel), or set CC and CXX",
        )
        self.command = command


class ToolchainMissing(FreezeError):
    """The pack of `backend` has to be compiled, and `missing` is not there to do it."""

    def __init__(self, backend: str, missing: Sequence[str], hint: str) -> None:
        super().__init__(f"the {backend} pack cannot be compiled here: missing {', '.join(missing)}", hint)
        self.backend = backend
        self.missing = tuple(missing)


class NoSuchPack(FreezeError):
    """There is no recipe for the pack of `backend`."""

    def __init__(self, backend: str, known: Sequence[str]) -> None:
        if backend == "rpc":
            super().__init__("rpc needs no pack", "the RPC backend is a part of every runtime")
        else:
            super().__init__(f"there is no pack {backend}", f"there are: {', '.join(known)}; cuda:CHIPS and rocm:CHIPS")
        self.backend = backend


class PythonUnsuitable(FreezeError):
    """This Python cannot make or be the runtime. `python` is its path; `lacks` what is missing from it."""

    def __init__(self, python: str, lacks: str, hint: str) -> None:
        super().__init__(f"{python} cannot be used: it has no {lacks}", hint)
        self.python = python
        self.lacks = lacks


class PackagesUnreachable(FreezeError):
    """The Python package index did not answer while `wanted` was being fetched."""

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"cannot download {wanted}: the Python package index does not answer",
            "check the network (and the proxy, if there is one), then run it again: what is done is kept",
        )
        self.wanted = wanted


class StepFailed(FreezeError):
    """A command failed while `step` was done. `reason` holds its last lines; `log` everything it printed."""

    def __init__(self, step: str, reason: str, log: Path) -> None:
        super().__init__(f"{step} failed:\n{reason}", f"the full log is {log}")
        self.step = step
        self.reason = reason
        self.log = log


class SourceError(LoafError):
    """The weights that MODEL names cannot be had."""


class SourceNotFound(SourceError):
    """`model` is what the user wrote."""

    def __init__(self, model: str, problem: str, hint: str) -> None:
        super().__init__(f"{model}: {problem}", hint)
        self.model = model


class SourceAmbiguous(SourceError):
    """`model` could mean each of `choices`."""

    def __init__(self, model: str, choices: Sequence[Found]) -> None:
        listed = "\n".join(f"  {choice.spec}  ({human_size(choice.size)})" for choice in choices)
        super().__init__(f"{model}: could be any of {len(choices)}", f"Name one of them:\n{listed}")
        self.model = model
        self.choices = tuple(choices)


class DownloadFailed(SourceError):
    """`source` could not be fetched to its end, however often it was tried."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"{source}: the download failed: {reason}", "Try again: what has been downloaded is kept and gone on with."
        )
        self.source = source
        self.reason = reason


class DigestMismatch(SourceError):
    """The bytes of `source` are not what their owner says they are."""

    def __init__(self, source: str, hint: str) -> None:
        super().__init__(f"{source}: is damaged: it does not have the size or digest that it should have", hint)
        self.source = source


class AnotherDigest(SourceError):
    """The weights of `model` are not those that were asked for. Both in hex."""

    def __init__(self, model: str, wanted: str, found: str) -> None:
        super().__init__(
            f"{model}: its weights have the SHA-256 {found}, and {wanted} was asked for",
            "Where the weights were meant to change, write the new one.",
        )
        self.model = model
        self.wanted = wanted
        self.found = found


class QuantizeError(LoafError):
    """The weights cannot be made smaller as asked."""


class NoSuchFileType(QuantizeError):
    """There is no quantization `name`; `near` is the one that looks most like it."""

    def __init__(self, name: str, near: str | None, known: Sequence[str]) -> None:
        meant = f"; {near} is the nearest" if near else ""
        super().__init__(f"there is no quantization {name!r}{meant}", f"There are: {', '.join(known)}")
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


class SourceChanged(SourceError):
    """A file was changed, or became shorter, while it was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: changed while it was read", "Something is writing to it: build again when that is done."
        )
        self.path = path


class TargetError(LoafError):
    """The bundle cannot be written where it was asked for. `path` is the target."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.path = path


class TargetIsSource(TargetError):
    """The target is the file that the weights are read from."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path}: is the file with the weights", "Name another file with -o.")


class NoRoom(TargetError):
    """The disk has fewer bytes free than the bundle needs."""

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(
            path,
            f"{path}: needs {needed:,} bytes, and the disk it is on has {free:,} free",
            "Make room, or name a file on another disk with -o.",
        )
        self.needed = needed
        self.free = free


class NoRoomToChange(TargetError):
    """The disk has fewer bytes free than changing the bundle takes for a moment."""

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(
            path,
            f"{path}: changing it takes {needed:,} bytes for a moment, and the disk it is on has {free:,} free",
            "Make room. The bundle is what it was.",
        )
        self.needed = needed
        self.free = free


class BundleBusy(TargetError):
    """Something else is changing the bundle, or starting it, at this moment."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, f"{path}: is being changed or started by another process", "Try again when that is done."
        )


class BundleNotWritable(TargetError):
    """The bundle cannot be opened to be changed. `reason` is what the system said."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            path,
            f"{path}: cannot be changed: {reason}",
            "Allow it with chmod u+w, or make a changed copy: loaf build FILE -o COPY.",
        )
        self.reason = reason


class FileTaken(TargetError):
    """Weights would lie in the file `path`, and it holds something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"{path}: is there, and holds something else than the weights",
            "Move it away.",
        )


class AnotherPlatform(TargetError):
    """The programs in the bundle are for `has`, and this machine makes them for `made`."""

    def __init__(self, path: Path, has: Sequence[str], made: str) -> None:
        super().__init__(
            path,
            f"{path}: the program in it is for {', '.join(has)}, and this machine makes programs for {made}",
            "Upgrade it on a machine of its own kind.",
        )
        self.has = tuple(has)
        self.made = made


class UnsafeEntryName(LoafError):
    """An archive names an entry that would be written outside the folder it is extracted to."""

    def __init__(self, bundle: Path, name: str) -> None:
        message = f"{bundle}: refuses to write its entry {name!r} to disk"
        super().__init__(message, "The file was tampered with.")
        self.bundle = bundle
        self.name = name


class NotAModel(SourceError):
    """The GGUF holds something else: an adapter, a projector, a vocabulary."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{path}: holds {kind}, not a model", "Name the .gguf of the model that it belongs to.")
        self.path = path
        self.kind = kind


class NameTaken(SourceError):
    """Two models of one bundle would be called `name`; `model` is the second, as the user wrote it."""

    def __init__(self, name: str, model: str) -> None:
        super().__init__(f"{model}: another model of the bundle is called {name}", "Name this one: --also NAME=MODEL.")
        self.name = name
        self.model = model


class GivenTwice(SourceError):
    """`model`, as the user wrote it, is the model `name` of the bundle already."""

    def __init__(self, model: str, name: str) -> None:
        super().__init__(
            f"{model}: is in the bundle already, as {name}",
            "One model may have several names: --args '--alias NAME,NAME'. It generates and makes vectors alike.",
        )
        self.model = model
        self.name = name


class PartMisfit(SourceError):
    """The adapter, projector or draft model in `path` cannot go with the model."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}", "Name one that was made for this very model.")
        self.path = path
        self.problem = problem


class PartNameTaken(SourceError):
    """Two adapters of one bundle would be called `name`; `path` is the second."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(
            f"{path}: another adapter of the bundle is called {name}",
            "They are told apart by their files' names: rename one.",
        )
        self.path = path
        self.name = name


class BundleNotIntact(LoafError):
    """`damages` names each damaged part and what is wrong with it."""

    def __init__(self, path: Path, damages: list[str]) -> None:
        super().__init__(f"{path}: is damaged", "\n".join(f"  {line}" for line in damages))
        self.path = path
        self.damages = damages


class TargetIsNoFile(TargetError):
    """The target exists and is a folder or a device."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path}: is there and is not a file", "Name a file with -o.")


class UnusableText(LoafError):
    """The text of `option` cannot be stored in a bundle."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option


class DefaultsRefused(LoafError):
    """The bundle that was built does not understand what is baked into it. `problem` is what it said."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"what is baked in cannot be used: {problem}", "Nothing was written.")
        self.problem = problem


class RecipeError(LoafError):
    """`line` (from 1 on) of the recipe `path` is wrong: at `key`, or None where it is not TOML."""

    def __init__(self, path: Path, line: int, key: str | None, problem: str) -> None:
        super().__init__(f"{path}:{line}: {f'{key}: ' if key else ''}{problem}", "docs/build.md lists what it may say.")
        self.path = path
        self.line = line
        self.key = key
        self.problem = problem


class TrustError(LoafError):
    """Signing a bundle, or checking who signed it."""


class KeyUnusable(TrustError):
    """What was given is not a key, or not one that can be used. `problem` says why."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the key cannot be used: {problem}", "Keys are made with: minisign -G")
        self.problem = problem


class NotSigned(TrustError):
    """There is no file with a signature of `path`."""

    def __init__(self, path: Path, signature: Path) -> None:
        super().__init__(
            f"{path}: there is no signature of it: {signature} is missing", "Get it from where the bundle is from."
        )
        self.path = path
        self.signature = signature


class SignatureWrong(TrustError):
    """The signature of `path` does not prove that the file is from the owner of the key."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: is not to be trusted: {problem}", "Get the bundle and its signature again.")
        self.path = path
        self.problem = problem


class ChangeUnfinished(TrustError):
    """A change of the bundle was interrupted, and what it left would be signed, too."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: a change of it was interrupted", "Do it again, then sign it.")
        self.path = path
