"""Recipes: a build written down in a TOML file, so that it can be kept beside other sources and done again.

A key is the name of one of `loaf build`'s long options, its value what is written behind it: text or a number, true for
a switch, a list where the option may be repeated. `model` is MODEL. Relative paths begin in the recipe's folder.

Knows keys, values and lines. Refuses to know what an option means (`options.py`).
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bundler.errors import RecipeError
from bundler.making.options import FileType

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MAX_SIZE = 256 * 1024


def read_recipe(path: Path, parameters: Sequence[click.Parameter]) -> dict[str, Any]:
    """What the recipe `path` says of `parameters`, as click's `default_map` has it. Raises `RecipeError`, `OSError`."""
    text = _read(path)
    known = {_key(parameter): parameter for parameter in parameters}
    said: dict[str, Any] = {}
    for key, value in _parse(path, text).items():
        if key not in known:
            raise RecipeError(path, _line_of(text, key), key, _no_such_key(key, list(known)))
        try:
            said[known[key].name or ""] = _value(known[key], value, path.parent)
        except click.UsageError as error:
            raise RecipeError(path, _line_of(text, key), key, error.message) from error
    return said


def _key(parameter: click.Parameter) -> str:
    """`chat-template` for `--chat-template`, `model` for MODEL."""
    return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0]).lstrip("-")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        raise RecipeError(path, 1, None, f"is longer than {_MAX_SIZE:,} bytes, which no recipe is")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(path, data.count(b"\n", 0, error.start) + 1, None, "is not UTF-8 text") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"(.*?) \(at line (\d+), column \d+\)", str(error))
        line = int(found[2]) if found else text.count("\n") + 1
        raise RecipeError(path, line, None, found[1] if found else str(error)) from error


def _value(parameter: click.Parameter, value: Any, folder: Path) -> Any:
    """`value` for click, tried out. Raises `click.UsageError`."""
    given: Any
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter("must be true or false")
        given = value
    elif parameter.multiple:
        given = [_text(parameter, one, folder) for one in (value if isinstance(value, list) else [value])]
    else:
        given = _text(parameter, value, folder)
    context = click.Context(click.Command(None))
    parameter.type_cast_value(context, given)
    return given


def _text(parameter: click.Parameter, value: Any, folder: Path) -> str:
    """One value as it would be written on the command line."""
    takes_numbers = not isinstance(parameter.type, (click.types.StringParamType, FileType))
    if isinstance(value, str):
        return parameter.type.seen_from(folder, value) if isinstance(parameter.type, FileType) else value
    if takes_numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise click.BadParameter(f"must be {'a number' if takes_numbers else 'text'}")


def _no_such_key(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
    return f"there is no such key; did you mean {near[0]}?" if near else "there is no such key"


def _line_of(text: str, key: str) -> int:
    """The line on which `key` stands, from 1 on: one that looks like it, and does not lie within a longer value."""
    lines = text.splitlines(keepends=True)
    looks_like_it = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    for number, line in enumerate(lines, 1):
        if looks_like_it.match(line) and _is_whole("".join(lines[: number - 1])):
            return number
    return 1


def _is_whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
