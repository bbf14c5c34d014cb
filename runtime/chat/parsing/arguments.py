"""Arguments that are written with a tag each, into JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runtime.chat.formats.format import TaggedArguments, core
from runtime.chat.messages import Tool
from runtime.chat.parsing.reader import Ended, Marks, Reader, Reading

_PYTHON = {"True": "true", "False": "false", "None": "null"}
"""What models write that have seen more Python than JSON."""

_MOST_FOLLOWED = 8
"""References to references that are followed for the type of an argument."""


def tagged_arguments(
    reader: Reader, tags: TaggedArguments, tool: Tool | None, end: str, emit: Callable[[str], None]
) -> Reading[None]:
    """Hand on the JSON object of the arguments, up to `end`, which is left. Raises `Unexpected` and `Ended`."""
    separator = "{"
    begin, *middle = core(tags.begin), *tags.middle.split()
    trims = tags.middle.endswith("\n")
    after_name = Marks((middle[0],))
    after_value = Marks((core(tags.end), f"\n{core(tags.end)}") if trims else (core(tags.end),))
    while not (yield from reader.next_is(end)):
        yield from reader.expect(begin)
        name: list[str] = []
        if (yield from reader.until(after_name, name.append)) is None:
            raise Ended
        for text in middle[1:]:
            yield from reader.expect(text)
        key = "".join(name).strip()
        emit(f"{separator}{_json(key)}: ")
        separator = ", "
        if trims:
            if not reader.text:
                yield from reader.more()
            if reader.text.startswith("\n"):
                reader.take(1)
        value: list[str] = []
        is_string = is_text(argument_schema(tool, key))
        if is_string:
            emit('"')
        mark = yield from reader.until(
            after_value, (lambda text: emit(_json(text)[1:-1])) if is_string else value.append
        )
        if mark is None:
            raise Ended
        emit('"' if is_string else _as_json("".join(value)))
    emit("{}" if separator == "{" else "}")


def argument_schema(tool: Tool | None, name: str) -> Any:
    """What the tool's schema says of an argument, with references followed; None if nothing."""
    if tool is None:
        return None
    properties = tool.parameters.get("properties")
    schema = properties.get(name) if isinstance(properties, dict) else None
    for _ in range(_MOST_FOLLOWED):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            break
        schema = _at(tool.parameters, schema["$ref"])
    return schema


def is_text(schema: Any) -> bool:
    """Whether only strings can fit: then they are written as they are, else as JSON where that is possible."""
    if not isinstance(schema, dict):
        return False
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return isinstance(values, list) and all(isinstance(value, str) for value in values)
    return schema.get("type") in ("string", ["string"])


def _at(document: Any, reference: str) -> Any:
    for token in reference.removeprefix("#").split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        document = document.get(token) if isinstance(document, dict) else None
    return document


def _as_json(text: str) -> str:
    text = text.strip()
    text = _PYTHON.get(text, text)
    try:
        json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return _json(text)
    return text


def _no_json(_name: str) -> Any:
    raise ValueError


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
