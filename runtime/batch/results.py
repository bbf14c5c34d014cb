"""The file that results go to: one line for each request, whole or not at all, by one run at a time.

What a run that broke off has left is gone on with: its results count, and half a line at the end is cut off. Knows the
form of a result, which is OpenAI's but for `line` in errors. Refuses to know where results come from.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import Any

import msgspec

from runtime.batch.errors import LineRefused, NotResults, OutputFailed, OutputInUse
from runtime.server.json import encode

_BEGINS = b'{"id":"batch_req_'
_LONGEST = 2**30
"""Bytes of a result. 2,048 vectors of 4,096 numbers are 200 MB."""


class _Answer(msgspec.Struct, frozen=True):
    status_code: int


class _Error(msgspec.Struct, frozen=True):
    line: int = 0


class _Result(msgspec.Struct, frozen=True):
    """What of a result has to be known to go on after it."""

    id: str
    custom_id: str | None = None
    response: _Answer | None = None
    error: _Error | None = None


class Results:
    """The results in `path`. `done` are the names of the requests that have one, `told` the numbers of those lines
    that have no name; `failed` counts those that say that something failed.

    Raises `OutputInUse`, `NotResults`, `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self.done: set[str] = set()
        self.told: set[int] = set()
        self.failed = 0
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._is_regular = stat.S_ISREG(os.fstat(self._file).st_mode)
        self._size = 0
        try:
            if self._is_regular:
                self._lock()
                self._take_up()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.done) + len(self.told)

    def add_answer(self, custom_id: str, status: int, body: bytes) -> None:
        """What a handler answered, JSON in `body`. Raises `OutputFailed`."""
        number = secrets.token_hex(12)
        response = {"status_code": status, "request_id": f"req_{number}", "body": msgspec.Raw(body)}
        self._write({"id": f"batch_req_{number}", "custom_id": custom_id, "response": response, "error": None})
        self.done.add(custom_id)
        self.failed += status >= 400

    def add_refusal(self, line: int, refused: LineRefused) -> None:
        """Why the line with the number `line` was not answered. Raises `OutputFailed`."""
        error = {"code": refused.code, "message": refused.message, "line": line}
        id = f"batch_req_{secrets.token_hex(12)}"
        self._write({"id": id, "custom_id": refused.custom_id, "response": None, "error": error})
        self._note(refused.custom_id, line)
        self.failed += 1

    def close(self) -> None:
        """Let others write there."""
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputInUse(self._path) from error

    def _take_up(self) -> None:
        """Learn what is there, and cut off what a run that broke off has left of a line; nothing but that."""
        number = 0
        with open(self._file, "rb", closefd=False) as file:
            while line := file.readline(_LONGEST):
                number += 1
                if not line.endswith(b"\n"):
                    self._cut_off(line, number)
                    return
                self._take(line, number)
                self._size += len(line)

    def _take(self, line: bytes, number: int) -> None:
        try:
            result = msgspec.json.decode(line, type=_Result)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotResults(self._path, number) from error
        self._note(result.custom_id, result.error.line if result.error else 0)
        self.failed += result.error is not None or (result.response is not None and result.response.status_code >= 400)

    def _cut_off(self, rest: bytes, number: int) -> None:
        if not (rest.startswith(_BEGINS) or _BEGINS.startswith(rest)):
            raise NotResults(self._path, number)
        os.ftruncate(self._file, self._size)

    def _note(self, custom_id: str | None, line: int) -> None:
        if custom_id is None:
            self.told.add(line)
        else:
            self.done.add(custom_id)

    def _write(self, result: dict[str, Any]) -> None:
        line = encode(result) + b"\n"
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            if self._is_regular:
                os.ftruncate(self._file, self._size)
            raise OutputFailed(self._path, error.strerror or str(error)) from error
        self._size += len(line)
