"""The log, for those who ask for one: each request, and what llama.cpp says. Nothing of what prompts and answers say.

Two loggers of the standard library's, silent until `start_logging`. Knows handlers and the form of a line. Refuses to
know what is written there: whoever has something to tell knows its logger's name and calls it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

REQUESTS = "loaf.requests"
LLAMA_CPP = "loaf.llama.cpp"


def start_logging(*, verbose: bool = False, file: Path | None = None, form: Literal["text", "json"] = "text") -> None:
    """Write to standard error (`verbose`), to a file, both or nowhere. Raises `OSError` where it cannot be opened."""
    handlers: list[logging.Handler] = []
    if file is not None:
        handlers.append(_File(file, encoding="utf-8", errors="backslashreplace"))
    if verbose:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.raiseExceptions = False  # a full disk or a closed pipe is no reason to say more
    for handler in handlers:
        handler.setFormatter(_Json() if form == "json" else _Text())
    for name in (REQUESTS, LLAMA_CPP):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.DEBUG if handlers else logging.CRITICAL + 1)
        logger.handlers = handlers


class _File(logging.FileHandler):
    """Says once that lines are lost; asked for each of them, the terminal would be as full as the disk."""

    _has_said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        if not self._has_said:
            self._has_said = True
            error = sys.exc_info()[1]
            reason = error.strerror if isinstance(error, OSError) else repr(error)
            with suppress(OSError):
                print(f"error: {self.baseFilename}: {reason}: lines of the log are lost", file=sys.stderr, flush=True)


class _Text(logging.Formatter):
    """`2026-03-14T15:09:26.535Z INFO llama.cpp: what is said`."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)} {record.levelname} {_source(record)}: {record.getMessage()}"


class _Json(logging.Formatter):
    """An object on a line: `time`, `level`, `source`, `message`, and what a record has besides in `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "source": _source(record),
            "message": record.getMessage(),
        }
        return json.dumps(line | getattr(record, "fields", {}))


def _time(record: logging.LogRecord) -> str:
    """ISO 8601, UTC, with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix("loaf.")
