"""Files that flags name, and JSON that they hold.

Knows how large a text may be, and how to say which flag is wrong. Refuses to know what the texts mean. Raises click's
errors for what is wrong with a flag, `OSError` for files that cannot be read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click


def one_of(flags: dict[str, Any], text: str, file: str) -> str | None:
    """What one of two flags says, the second in a file."""
    if flags[file] is None:
        given: str | None = flags[text]
        return given
    if flags[text] is not None:
        raise click.UsageError(f"Either --{text.replace('_', '-')} or --{file.replace('_', '-')}, not both.")
    return _read(flags[file])


def inline(text: str, mark: str, flag: str, what: str) -> str:
    """`text`, or where it lacks what all such texts have, the file that it names."""
    if mark in text or not text:
        return text
    try:
        return _read(Path(text))
    except OSError as error:
        reason = f"{text!r} is neither {what} nor a file that can be read: {error.strerror}"
        raise click.BadParameter(reason, param_hint=flag) from error


def folder(path: Path | None) -> Path | None:
    """`path`, if it can be looked into; else the system says why not."""
    if path is not None:
        os.scandir(path).close()
    return path


def json_object(text: str | None, flag: str) -> dict[str, Any]:
    """The JSON object that `text` is; an empty one where `flag` was not given."""
    value = {} if text is None else json_value(text, flag)
    if not isinstance(value, dict):
        raise click.BadParameter("must be a JSON object", param_hint=flag)
    return value


def json_value(text: str, flag: str) -> Any:
    """What `text`, given by `flag`, says in JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=flag) from error


def _read(file: Path, limit: int = 16 * 1024 * 1024) -> str:
    """UTF-8 text of `limit` bytes at most, so that a wrong file is no surprise."""
    with file.open("rb") as opened:
        data = opened.read(limit + 1)
    if len(data) > limit:
        raise click.UsageError(f"{file} is larger than {limit:,} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8 text.") from error
