"""What can go wrong while weights are fetched.

LoafError
├── FetchFailed     they are not to be had from there, or not now
├── Damaged         what came is not what was to come
├── NoRoom          the disk is too small
└── NotFetched      they are not on this machine, and were only to be looked for
"""

from __future__ import annotations

from pathlib import Path

from runtime.errors import LoafError


class FetchFailed(LoafError):
    """`what` is how people call it: a repository, an address. `reason` says why it cannot be had."""

    def __init__(self, what: str, reason: str, hint: str) -> None:
        super().__init__(f"{what}: {reason}", hint)
        self.what = what
        self.reason = reason


class Damaged(LoafError):
    """`what` came otherwise than it should have; it has been deleted."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what}: {reason}",
            "What came was deleted: try again. If it stays so, the server or something on the way is at fault.",
        )
        self.what = what
        self.reason = reason


class NoRoom(LoafError):
    """`folder` has `free` bytes, and `needed` are to come."""

    def __init__(self, folder: Path, free: int, needed: int) -> None:
        super().__init__(
            f"{folder} has room for {free / 1e9:,.1f} GB, and {needed / 1e9:,.1f} GB are to come",
            "Make room, or set LOAF_CACHE_DIR to a folder on another disk.",
        )
        self.folder = folder
        self.free = free
        self.needed = needed


class NotFetched(LoafError):
    """`what` would be fetched by a launch."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not on this machine yet", "A launch fetches it.")
        self.what = what
