"""Where a bundle is to be written: whether it may be, and whether there is room.

Refuses to know what is written there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bundler.errors import NoRoom, TargetHasNoFolder, TargetIsNoBundle, TargetIsNoFile, TargetIsSource
from bundler.file.content import Content, FileRange
from runtime.bundle.head import HEAD_SIZE, parse_head


def check_target(target: Path, contents: Iterable[Content], *, force: bool) -> None:
    """Refuse early what would fail late, or destroy something: a folder, a device, what is read from, a file of others.

    A file that is neither empty nor a bundle is replaced with `force` only.
    Raises `TargetHasNoFolder`, `TargetIsNoFile`, `TargetIsSource`, `TargetIsNoBundle`.
    """
    if not target.parent.is_dir():
        raise TargetHasNoFolder(target)
    if not target.exists():
        return
    if not target.is_file():
        raise TargetIsNoFile(target)
    for piece in (piece for content in contents for piece in content):
        if isinstance(piece, FileRange) and target.samefile(piece.path):
            raise TargetIsSource(target)
    if not force and not _may_go(target):
        raise TargetIsNoBundle(target)


def _may_go(target: Path) -> bool:
    with target.open("rb") as file:
        head = file.read(HEAD_SIZE)
    return not head or parse_head(head) is not None


def check_room(target: Path, needed: int) -> None:
    """Raises `NoRoom` where the disk of `target` has fewer than `needed` bytes free."""
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise NoRoom(target, needed, free)
