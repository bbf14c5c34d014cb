"""Rewrites the tail of a bundle, all behind its weights. An interruption leaves the bundle that was, or the new one.

At every moment one of the two launchers in the head is live (`runtime/bundle/head.py`), and nothing that it points to
is written over. So what is there goes out of the way first:

    1. a copy of the tail goes behind the end of the file, and its launcher into the second place
    2. the byte in the head: the copy is live, and the place of the tail is free
    3. the new tail goes there, and its launcher into the first place
    4. the byte in the head: the new tail is live
    5. the file ends where the new tail does, and the second place is empty

What results is what building it anew would have made, byte for byte. Between the steps the disk has to have what was
written, so that they also hold where the power fails. A bundle that was interrupted runs; the next change begins with
what is left to do: after step 2 with steps 3 to 5, for what is there, otherwise with step 5.

Knows positions and the order of writes. Refuses to know what is changed, and why (`defaults.py`).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bundler.errors import BundleBusy, BundleNotWritable, NoRoomToChange
from bundler.file.archive import Stored, place
from bundler.file.content import FileRange
from bundler.file.copying import write_all
from bundler.file.layout import end_of, lay_out
from bundler.file.plan import Plan, plan_of
from bundler.file.stored import stored_entries
from bundler.file.writing import write_parts
from runtime.bundle import ALIGNMENT, open_bundle, read_head, stated_size
from runtime.bundle.head import (
    CHOICE_OFFSET,
    CHOOSES_FIRST,
    CHOOSES_SECOND,
    FIRST_PLACE,
    MARK,
    SECOND_PLACE,
    first_place,
    second_place,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)

Change = Callable[[Plan], Plan]
"""Makes of what a bundle holds what it is to hold. It is asked more than once: parts move about meanwhile."""


def rewrite(path: Path, change: Change) -> None:
    """Change what the bundle at `path` holds; the weights that it begins with, before and after, stay where they are.

    Raises `BundleError`, `BundleBusy`, `BundleNotWritable`, `NoRoomToChange`, `OSError`, and what `change` raises; then
    the bundle is what it was.
    """
    open_bundle(path)  # says what is wrong with it, before it is touched
    with _locked(path) as fd:
        file = _Rewriter(path, fd)
        file.settle()
        try:
            file.put_aside(change)
            file.put_in_place(change)
        except BaseException as error:
            with suppress(OSError):
                file.settle()
            if isinstance(error, OSError) and error.errno in _FULL:
                raise NoRoomToChange(path, file.room_needed, _free(fd)) from error
            raise


def finish_interrupted(path: Path) -> None:
    """Leave nothing in the bundle at `path` of a change that was interrupted. Raises as `rewrite` does."""
    if not read_head(path).is_settled:
        with _locked(path) as fd:
            _Rewriter(path, fd).settle()


class _Rewriter:
    """An open bundle, which nobody else changes. `room_needed`: bytes that a change takes on the disk, for a while."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self.room_needed = 0

    def settle(self) -> None:
        """Do what an interruption has left to do."""
        head = read_head(self._path)
        size = stated_size(head)
        if not head.is_first:
            self.put_in_place(lambda plan: plan)
        elif not head.is_settled or self._size() > size:
            self._tidy(size)

    def put_aside(self, change: Change) -> None:
        """Steps 1 and 2: what is live moves behind the end of the file, and of what `change` will make of it."""
        stored, plan = self._live()
        future = change(plan)
        kept = _in_place(self._path, stored, future)
        end = max(self._size(), lay_out(future, kept).size)
        aside = lay_out(plan, kept, -(-end // ALIGNMENT) * ALIGNMENT)
        self.room_needed = aside.size - self._size()
        if self.room_needed > _free(self._fd):
            raise NoRoomToChange(self._path, self.room_needed, _free(self._fd))
        self._write(MARK[:1], SECOND_PLACE)
        self._write(second_place(MARK), SECOND_PLACE)
        launcher = write_parts(aside, self._fd, _count_nothing)
        self._write(second_place(MARK + launcher), SECOND_PLACE)
        self._choose(CHOOSES_SECOND)

    def put_in_place(self, change: Change) -> None:
        """Steps 3 to 5: what `change` makes of what is live goes where it belongs."""
        stored, plan = self._live()
        future = change(plan)
        kept = _in_place(self._path, stored, future)
        layout = lay_out(future, kept)
        assert layout.size <= stored[len(kept)].header_offset, "what is live would be overwritten"
        launcher = write_parts(layout, self._fd, _count_nothing)
        self._write(first_place(launcher), FIRST_PLACE)
        self._choose(CHOOSES_FIRST)
        self._tidy(layout.size)

    def _live(self) -> tuple[list[Stored], Plan]:
        bundle = open_bundle(self._path)
        return stored_entries(bundle), plan_of(bundle)

    def _choose(self, choice: bytes) -> None:
        """What has been written is on the disk before the byte is, and the byte before anything else."""
        os.fdatasync(self._fd)
        self._write(choice, CHOICE_OFFSET)
        os.fdatasync(self._fd)

    def _tidy(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        os.fdatasync(self._fd)
        self._write(second_place(MARK[:1]), SECOND_PLACE)
        self._write(second_place(b"")[:1], SECOND_PLACE)

    def _write(self, data: bytes, offset: int) -> None:
        write_all(self._fd, data, offset)

    def _size(self) -> int:
        return os.fstat(self._fd).st_size


def _in_place(path: Path, stored: Sequence[Stored], plan: Plan) -> list[Stored]:
    """Of what there is, the weights that lie already where `plan` has them: from the first on, without a gap."""
    kept: list[Stored] = []
    for entry, part in zip(stored, plan.weights, strict=False):
        _, data_offset = place(end_of(kept), part.name, part.size, ALIGNMENT)
        if entry.name != part.name or part.content != (FileRange(path, data_offset, entry.size),):
            break
        kept.append(entry)
    return kept


def _free(fd: int) -> int:
    """Bytes that the disk has left for us."""
    status = os.fstatvfs(fd)
    return status.f_bavail * status.f_frsize


def _count_nothing(_bytes: int) -> None:
    """A tail takes a moment."""


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, open to be written by nobody else who asks. Raises `BundleBusy`, `BundleNotWritable`."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ETXTBSY:  # it is being launched at this moment
            raise BundleBusy(path) from error
        raise BundleNotWritable(path, error.strerror or str(error)) from error
    try:
        _lock(fd, path)
        yield fd
    finally:
        os.close(fd)


def _lock(fd: int, path: Path) -> None:
    """For this process; the system takes it back when the file is closed, however the process ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BundleBusy(path) from error
    if not os.path.samestat(os.fstat(fd), path.stat()):  # another file has taken the name since this one was opened
        raise BundleBusy(path)
