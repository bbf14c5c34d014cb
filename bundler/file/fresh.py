"""A new file, from its layout, in the place of what lies there.

Refuses to know what it is for, and how it is changed later (`bundler/changing/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundler.file.layout import Layout
from bundler.file.replacing import replacing
from bundler.file.target import check_room
from bundler.file.writing import write_file
from bundler.progress import Progress


@contextmanager
def written(layout: Layout, target: Path, mode: int, progress: Progress) -> Iterator[int]:
    """A descriptor of the whole file, to which more may be added; it takes the name `target` when the block ends well.

    `mode` as `replacing` has it. Raises `NoRoom`, and as `replacing` and `write_file` do.
    """
    check_room(target, layout.size)
    with replacing(target, mode) as fd:
        with progress.step(f"Writing {target}", layout.plan.size, "bytes") as advance:
            write_file(layout, fd, advance)
        yield fd
