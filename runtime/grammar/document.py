"""The schema as a document: values by JSON pointer, references inside it, keywords of the right type, limits.

Every schema comes from a client, so it is looked through once before anything else is done with it, without
recursion. Knows nothing of what keywords mean.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.exact import Exact, exact

_MAX_DEPTH = 64
"""Values within values: listed ones are followed by recursion."""

_MAX_VALUES = 200_000
"""Names and values in a schema."""


class Document:
    """A schema that is known to be JSON of a bearable size.

    Methods take a value from it and the place where it stands. All raise `SchemaUnsupported`.
    """

    def __init__(self, schema: object) -> None:
        _check(schema)
        self._schema = schema

    def at(self, place: str) -> object:
        """The value at a JSON pointer."""
        value = self._schema
        for token in place.split("/")[1:]:
            token = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list) and _is_index(token, value):
                value = value[int(token)]
            else:
                raise SchemaUnsupported(place, "there is nothing at this place")
        return value

    def target(self, reference: object, place: str) -> str:
        """The pointer to where the `$ref` at `place` leads."""
        if not isinstance(reference, str):
            raise SchemaUnsupported(place, "a reference must be a string")
        pointer = unquote(reference[1:])
        if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
            hint = 'Put what it refers to into $defs, and refer to "#/$defs/NAME".'
            raise SchemaUnsupported(
                place, f"only references into the schema itself are followed, not {reference!r}", hint
            )
        try:
            self.at(pointer)
        except SchemaUnsupported as error:
            raise SchemaUnsupported(
                place, f"{reference!r} leads to nothing", "Define it, or correct the $ref."
            ) from error
        return pointer

    def schemas(self, value: object, place: str) -> list[str]:
        """The pointers to the members of a list of schemas, which is not empty."""
        if not isinstance(value, list) or not value:
            raise SchemaUnsupported(place, "must be a list of schemas")
        return [f"{place}/{index}" for index in range(len(value))]

    def named_schemas(self, value: object, place: str) -> list[tuple[str, str]]:
        """The names in an object of schemas, and the pointers to them. PHP writes an object of none as `[]`."""
        if value == []:
            return []
        if not isinstance(value, dict):
            raise SchemaUnsupported(place, "must be an object")
        return [(name, below(place, name)) for name in value]

    def names(self, value: object, place: str) -> tuple[str, ...]:
        """A list of strings."""
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise SchemaUnsupported(place, "must be a list of strings")
        return tuple(dict.fromkeys(value))

    def text(self, value: object, place: str) -> str:
        """A string."""
        if not isinstance(value, str):
            raise SchemaUnsupported(place, "must be a string")
        return value

    def count(self, value: object, place: str) -> int:
        """An integer that is not negative, even if it is written as 3.0."""
        number = self.number(value, place)
        if number.places or number.units < 0:
            raise SchemaUnsupported(place, "must be an integer, 0 or more")
        return number.units

    def number(self, value: object, place: str) -> Exact:
        """A number."""
        number = exact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        if number is None:
            raise SchemaUnsupported(place, "must be a number")
        return number


def below(place: str, name: str) -> str:
    """The pointer to the member `name` of the object at `place`."""
    return f"{place}/{name.replace('~', '~0').replace('/', '~1')}"


def as_json(value: object, place: str) -> str:
    """The value in JSON, as a model is to write it. Raises `SchemaUnsupported`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise SchemaUnsupported(place, "half of a surrogate pair cannot be written in UTF-8")
    return text


def _is_index(token: str, items: list[object]) -> bool:
    return token.isascii() and token.isdigit() and len(token) < 9 and int(token) < len(items)


def _check(schema: object) -> None:
    count = 0
    todo: list[tuple[object, int]] = [(schema, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise SchemaUnsupported("", f"it has more than {_MAX_DEPTH} values within each other")
        if isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise SchemaUnsupported("", "it is not JSON: a name is not a string")
            inner: list[object] = list(value.values())
        elif isinstance(value, list):
            inner = value
        elif (
            value is None
            or isinstance(value, (str, bool))
            or (isinstance(value, (int, float)) and exact(value) is not None)
        ):
            inner = []
        else:
            raise SchemaUnsupported("", "it is not JSON, or has a number that is out of range")
        count += 1 + len(inner)
        if count > _MAX_VALUES:
            raise SchemaUnsupported("", f"it has more than {_MAX_VALUES:,} values")
        todo.extend((one, depth + 1) for one in inner)
