"""A file that cannot be written, or a bundle that cannot be changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError


class TargetError(LoafError):
    """The bundle cannot be written where it was asked for. `path` is the target."""

    def __init__(self, path: Path, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.path = path


class TargetIsSource(TargetError):
    """The target is the file that the weights are read from."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path}: is the file with the weights", "Name another file with -o.")


class TargetHasNoFolder(TargetError):
    """The folder that the target would be in is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"{path}: there is no folder {path.parent}",
            f"Make it (mkdir -p {path.parent}), or name another file with -o.",
        )


class TargetIsNoBundle(TargetError):
    """The target is a file that something else has written."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"{path}: is there already, and is no bundle",
            "Name another file with -o, or delete this one; `loaf build --force` replaces it.",
        )


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
    """The programs in the bundle are for `has`, and those at hand for `offered`."""

    def __init__(self, path: Path, has: Sequence[str], offered: Sequence[str]) -> None:
        super().__init__(
            path,
            f"{path}: the programs in it are for {', '.join(has)}, and those at hand are for {', '.join(offered)}",
            "Upgrade it on a machine of its own kind, or from a file that has such programs: --runtime-from FILE.",
        )
        self.has = tuple(has)
        self.offered = tuple(offered)


class RuntimeOlder(TargetError):
    """The bundle's program is of the version `has`, and the one at hand of the older `offered`."""

    def __init__(self, path: Path, has: str, offered: str) -> None:
        super().__init__(
            path,
            f"{path}: its program is of loaf {has}, and this one's is of the older {offered}",
            "Use a newer loaf. To go back, name the file with the older program: --runtime-from FILE.",
        )
        self.has = has
        self.offered = offered


class TargetIsNoFile(TargetError):
    """The target exists and is a folder or a device."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path}: is there and is not a file", "Name a file with -o.")


class FolderTaken(TargetError):
    """An image would lie in the folder `path`, and there is something already."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"{path}: is there already", "Name another folder with -o, or delete this one.")


class NoCLibraryInside(TargetError):
    """The program for `platform` in the bundle `path` is older than those that bring a C library."""

    def __init__(self, path: Path, platform: str) -> None:
        super().__init__(
            path,
            f"{path}: its program for {platform} brings no C library, and an image has no system that does",
            "Give it a newer program: loaf upgrade FILE.",
        )
        self.platform = platform
