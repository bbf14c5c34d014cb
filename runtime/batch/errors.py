"""What can go wrong with a batch.

LoafError
├── OutputInUse       another run writes there
├── NotResults        something else lies there
├── OutputFailed      the system takes no more
├── LineRefused       a line asks for nothing that can be answered; ends up in the results
├── AnsweringStopped  the engine is gone, or all servers, and with it all further answers
├── ServersUnreachable  none of the servers that are to answer does
├── ServerRefuses     one of them does not let us ask
└── RequestsFailed    everything was tried, and not all of it could be answered
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.errors import LoafError


class OutputInUse(LoafError):
    """`path` is locked."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: another run writes there", "Wait for its end, or name another file with -o.")
        self.path = path


class NotResults(LoafError):
    """Line `line` of `path` is no result of a batch, so nothing may be written behind it."""

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(
            f"{path}: line {line:,} is no result of a batch", "Name another file with -o; this one was left as it is."
        )
        self.path = path
        self.line = line


class OutputFailed(LoafError):
    """`reason` is the system's."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}", "What is there is kept: the same command goes on after it.")
        self.path = path
        self.reason = reason


class LineRefused(LoafError):
    """`code` is a word for programs. `custom_id` is None where the line has none that it could be known by."""

    def __init__(self, code: str, message: str, custom_id: str | None = None) -> None:
        super().__init__(message, "Mend the line, and take its result out: the same command asks it again.")
        self.code = code
        self.custom_id = custom_id


class AnsweringStopped(LoafError):
    """`reason` is what a request was told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "What was answered is kept: the same command goes on after it.")
        self.reason = reason


class ServersUnreachable(LoafError):
    """`reasons`: why each of the servers is none, in one line."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(f"no server answers: {'; '.join(reasons)}", "Start them first: FILE --server.")
        self.reasons = tuple(reasons)


class ServerRefuses(LoafError):
    """The server at `url` says that we may not ask it; `reason` is what it says."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} refuses: {reason}", "Name its key with --api-key, or --api-key-file.")
        self.url = url
        self.reason = reason


class RequestsFailed(LoafError):
    """`failed` of `total` requests."""

    def __init__(self, failed: int, total: int, path: Path) -> None:
        super().__init__(
            f"{failed:,} of {total:,} requests failed",
            f"Their lines in {path} say why; without those lines, the same command asks them again.",
        )
        self.failed = failed
        self.total = total
