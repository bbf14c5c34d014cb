"""Sequences that were moved out of memory, too: each a file in one folder, until somebody wants to go on from it.

Those that were used longest ago make room for others, whosever they are. What is found damaged, or of another model,
goes. Files are written in a thread of their own, so that nobody waits for the disk. Refuses to know what a state
consists of.
"""

from __future__ import annotations

import hashlib
import math
import os
import queue
import re
import threading
from array import array
from collections.abc import Callable
from collections.abc import Sequence as Tokens
from contextlib import suppress
from pathlib import Path

import msgspec

from runtime.engine.backend import Generator
from runtime.engine.beginnings import Scales, begins, longest_beginning
from runtime.engine.errors import FolderNotPrivate, StateFailed
from runtime.engine.shelf import Kept
from runtime.engine.states import PartialState, SavedSequence, StateFile
from runtime.engine.unfinished import remove_unfinished

_MOST = 256
"""Sequences; each new request is compared with all of them."""

_MOST_WAITING = 4
"""States that may wait to be written, in memory meanwhile: more are let go of."""

_NAME = re.compile(r"([0-9a-f]{16})-[0-9a-f]{32}((?:_[0-9.e+-]+)*)\.state")
"""Of a file: the model's key, the sequence's, and the scales of its adapters."""


class OnDisk(msgspec.Struct, frozen=True, eq=False):
    """`tokens`, computed with the adapters at `scales`, in `path`; `checkpoints` of them can be gone back to."""

    path: Path
    tokens: Tokens[int]
    scales: Scales
    checkpoints: tuple[int, ...]


class Disk:
    """States in files of `folder`, up to `capacity` bytes of them, for the model that `key` tells from others.

    `say` tells people, in a line. Used by the worker thread, but for what it writes. The folder is made, if need be,
    for its owner alone. Raises `FolderNotPrivate`, `OSError`.
    """

    def __init__(self, folder: Path, capacity: int, key: str, say: Callable[[str], None]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise FolderNotPrivate(folder)
        self._folder = folder
        self._capacity = capacity
        self._key = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._say = say
        self._kept: list[OnDisk] | None = None
        self._writing: queue.Queue[tuple[OnDisk, Callable[[Path], int]]] = queue.Queue(_MOST_WAITING)
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self._is_full = False

    def begin(self, context: Generator) -> None:
        """Look what is there, the first time. What does not fit `context` or is damaged goes."""
        if self._kept is not None:
            return
        self._kept = []
        remove_unfinished(self._folder, "*.state")
        for path in sorted(self._files(), key=_used_at):
            found = _NAME.fullmatch(path.name)
            if found is None or found[1] != self._key:
                continue
            file = StateFile(path)
            try:
                scales = tuple(float(text) for text in found[2].split("_")[1:])
                tokens, checkpoints = context.saved_tokens(file), context.saved_checkpoints(file)
            except (StateFailed, OSError, ValueError) as error:
                self._drop_file(path, str(error))
            else:
                self._kept.append(OnDisk(path, array("i", tokens), scales, checkpoints))

    def put(
        self, kept: Kept, checkpoints: tuple[PartialState, ...], context: Generator, *, waits: bool = False
    ) -> None:
        """Write it, and let go of what it makes needless. Where too much waits to be written, it is let go of itself,
        unless one `waits`.
        """
        if len(kept.state) > self._capacity or self._has(kept):
            return
        tokens = array("i", kept.tokens)
        name = hashlib.sha256(tokens.tobytes()).hexdigest()[:32]
        scales = "".join(f"_{scale:.9g}" for scale in kept.scales)
        path = self._folder / f"{self._key}-{name}{scales}.state"
        new = OnDisk(path, tokens, kept.scales, tuple(one.length for one in checkpoints))
        saved = SavedSequence(tuple(kept.tokens), checkpoints)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="disk", daemon=True)
            self._writer.start()
        with suppress(queue.Full):
            self._writing.put((new, lambda path: context.write(kept.state, saved, path)), block=waits)

    def wait(self) -> None:
        """Until all is written."""
        self._writing.join()

    def longest_prefix(
        self, prompt: Tokens[int], scales: Scales, usable: Callable[[OnDisk, int], int]
    ) -> tuple[OnDisk | None, int]:
        """As `longest_beginning`, of what is there."""
        return longest_beginning(self._all(), prompt, scales, usable)

    def used(self, one: OnDisk) -> None:
        """It has been gone on from."""
        with suppress(OSError):
            os.utime(one.path)

    def drop(self, one: OnDisk, reason: str) -> None:
        """It is of no use: `reason` says why."""
        self._forget(one)
        if one.path.exists():  # else its room was needed by another of those who use the folder
            self._drop_file(one.path, reason)

    def _all(self) -> list[OnDisk]:
        with self._lock:
            return list(self._kept or ())

    def _has(self, kept: Kept) -> bool:
        return any(begins(one, kept) for one in self._all())

    def _forget(self, one: OnDisk) -> None:
        with self._lock:
            if self._kept is not None and one in self._kept:
                self._kept.remove(one)

    def _write_all(self) -> None:
        while True:
            new, write = self._writing.get()
            try:
                self._write(new, write)
            finally:
                del write  # and the state with it
                self._writing.task_done()

    def _write(self, new: OnDisk, write: Callable[[Path], int]) -> None:
        try:
            write(new.path)
        except (OSError, StateFailed) as error:
            if not self._is_full:
                self._is_full = True
                self._say(f"{self._folder}: {error}: conversations are not kept on disk for now")
            return
        self._is_full = False
        with self._lock:
            assert self._kept is not None
            needless = [one for one in self._kept if begins(new, one)]
            self._kept = [one for one in self._kept if one not in needless] + [new]
        for one in needless:
            one.path.unlink(missing_ok=True)
        self._make_room(new.path)

    def _make_room(self, newest: Path) -> None:
        """Remove what was used longest ago, of all that is there, until no more than may be is left."""
        files = sorted((path for path in self._files() if _NAME.fullmatch(path.name)), key=_used_at)
        left = sum(map(_size, files))
        count = len(files)
        for path in files:
            if left <= self._capacity and count <= _MOST:
                return
            if path == newest:
                continue
            left -= _size(path)
            count -= 1
            path.unlink(missing_ok=True)
            for one in self._all():
                if one.path == path:
                    self._forget(one)

    def _files(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except OSError as error:
            self._say(f"{self._folder}: {error.strerror}: what was kept there is not found")
            return []

    def _drop_file(self, path: Path, reason: str) -> None:
        self._say(f"{path.name} is not used, and removed: {reason}")
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
