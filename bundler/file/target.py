"""Where a bundle is to be written: whether it may be, and whether there is room.

Refuses to know what is written there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bundler.errors import NoRoom, TargetIsNoFile, TargetIsSource
from bundler.file.content import Content, FileRange


def check_target(target: Path, contents: Iterable[Content]) -> None:
    """Refuse early what would fail late, or destroy something: a folder, a device, what is read from.

    Raises `TargetIsNoFile`, `TargetIsSource`.
    """
    if not target.exists():
        return
    if not target.is_file():
        raise TargetIsNoFile(target)
    for piece in (piece for content in contents for piece in content):
        if isinstance(piece, FileRange) and target.samefile(piece.path):
            raise TargetIsSource(target)


def check_room(target: Path, needed: int) -> None:
    """Raises `NoRoom` where the disk of `target` has fewer than `needed` bytes free."""
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise NoRoom(target, needed, free)
