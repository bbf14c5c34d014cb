"""The runtime and its packs, and where they are kept: what goes wrong while they are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError


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
    """The programs for a bundle could not be made, or taken from where they are."""


class CompilerMissing(FreezeError):
    """llama.cpp has to be compiled, and `command` is not there to do it."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"no C++ compiler: `{command}` is not on PATH",
            "install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++; "
            "Arch: pacman -S base-devel), or set CC and CXX",
        )
        self.command = command


class NoSuchPlatform(FreezeError):
    """There is no program for the platform `name`, only for `known`: in the bundle `path`; None: made here."""

    def __init__(self, name: str, known: Sequence[str], path: Path | None = None) -> None:
        platforms = " and ".join(known) or "no platform"
        if path is None:
            super().__init__(
                f"programs for {name} are not made here",
                f"this machine makes them for {platforms}; docs/platforms.md says what a port has to bring",
            )
        else:
            super().__init__(
                f"{path}: a program for {name} is not in it; there are those for {platforms}",
                "name a file that has one: --runtime-from FILE",
            )
        self.name = name
        self.known = tuple(known)
        self.path = path


class PlatformUnmakeable(FreezeError):
    """Programs for the platform `name` could be made here, if `missing` were there."""

    def __init__(self, name: str, missing: Sequence[str], hint: str) -> None:
        super().__init__(f"programs for {name} cannot be made here: missing {', '.join(missing)}", hint)
        self.name = name
        self.missing = tuple(missing)


class ToolchainMissing(FreezeError):
    """The pack of `backend` has to be compiled, and `missing` is not there to do it."""

    def __init__(self, backend: str, missing: Sequence[str], hint: str) -> None:
        super().__init__(f"the {backend} pack cannot be compiled here: missing {', '.join(missing)}", hint)
        self.backend = backend
        self.missing = tuple(missing)


class PackMissing(FreezeError):
    """The pack of `backend`, for `chips` where they were named, was to be taken from the bundle `path`, which `has`."""

    def __init__(self, path: Path, backend: str, chips: str | None, has: Sequence[str]) -> None:
        what = f"the {backend} pack" if chips is None else f"a {backend} pack compiled for {chips}"
        super().__init__(
            f"{path}: {what} is not in it; packs in it: {', '.join(has) or 'none'}",
            "name a file that has it: --runtime-from FILE; a checkout of loaf compiles it (docs/gpu.md)",
        )
        self.path = path
        self.backend = backend
        self.chips = chips
        self.has = tuple(has)


class NoPackForPlatform(FreezeError):
    """A pack of `backend` was asked for, and packs are for `has`, none of which is among the `wanted` platforms."""

    def __init__(self, backend: str, wanted: Sequence[str], has: Sequence[str]) -> None:
        super().__init__(
            f"there is no {backend} pack for {' and '.join(wanted)}: packs are for {' and '.join(has) or 'none'}",
            "build without --backend, or for a platform that has packs, too: --platform",
        )
        self.backend = backend
        self.wanted = tuple(wanted)
        self.has = tuple(has)


class MediaPackMissing(FreezeError):
    """What pictures need on `platform` was to be taken from the bundle `path`, which has none."""

    def __init__(self, path: Path, platform: str) -> None:
        super().__init__(
            f"{path}: the pack for pictures and sounds on {platform} is not in it",
            "Name one that has it with --runtime-from: a file with a projector, or the builder; where a file is built, "
            "--no-mmproj does without.",
        )
        self.path = path
        self.platform = platform


class ProgramDamaged(FreezeError):
    """The part `name` of the bundle `path`, from which it was to be taken, is not what the bundle says it is."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(
            f"{path}: is damaged: {name} does not have the SHA-256 that it should", "download or copy it again"
        )
        self.path = path
        self.name = name


class NoProgramForHere(FreezeError):
    """`what` takes a program that runs on this machine, and those at hand are for the platforms `has`."""

    def __init__(self, what: str, has: Sequence[str]) -> None:
        super().__init__(
            f"{what}: takes a program for this machine, and those at hand are for {', '.join(has) or 'none'}",
            "name a file that has one: --runtime-from FILE",
        )
        self.what = what
        self.has = tuple(has)


class NoSuchPack(FreezeError):
    """There is no recipe for the pack of `backend`."""

    def __init__(self, backend: str, known: Sequence[str]) -> None:
        if backend == "rpc":
            super().__init__("rpc needs no pack", "the RPC backend is a part of every runtime")
        else:
            super().__init__(f"there is no pack {backend}", f"there are: {', '.join(known)}; cuda:CHIPS and rocm:CHIPS")
        self.backend = backend


class NothingToFreezeWith(FreezeError):
    """Programs are to be made by a loaf that is one file itself. `hint` says what to do instead."""

    def __init__(self, hint: str) -> None:
        super().__init__("this loaf is one file, which has no Python and no compiler to make programs with", hint)


class PythonUnsuitable(FreezeError):
    """This Python cannot make or be the runtime. `python` is its path; `lacks` what is missing from it."""

    def __init__(self, python: str, lacks: str, hint: str) -> None:
        super().__init__(f"{python} cannot be used: it has no {lacks}", hint)
        self.python = python
        self.lacks = lacks


class FrozenFileUnsuitable(FreezeError):
    """`file`, which was frozen, cannot be made to look for libraries where it is unpacked. `reason` says why not."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"{file.name} cannot be frozen: {reason}",
            "build with another Python, or with the versions that pyproject.toml pins",
        )
        self.file = file
        self.reason = reason


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
