"""What the keywords of JSON Schema say, as shapes.

Knows JSON Schema (2020-12, with the older spellings that are still sent) and how shapes combine. Refuses to know how
shapes are written as rules. `json_schema.py` says which keywords are followed, ignored and refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runtime.grammar.document import Document, as_json
from runtime.grammar.errors import SchemaUnsupported, Unsupported
from runtime.grammar.fitting import VALUE_STEPS, Fitting, identity
from runtime.grammar.layers import array_layers, number_layers, object_layers, string_layers
from runtime.grammar.regex import Patterns
from runtime.grammar.shapes import (
    ArrayLayer,
    Arrays,
    Key,
    Literals,
    Numbers,
    ObjectLayer,
    Objects,
    Shape,
    Strings,
)
from runtime.grammar.work import Work

_MAX_FOLLOWED = 32
"""References and combinations within each other, without a property or an element in between."""

_MAX_SHAPES = 2_000
"""Ways in which `anyOf` and `allOf` can combine."""

_SHAPE_STEPS = 2
"""What it takes to look at a shape, in steps of `Work`."""

_LAYER_STEPS = 5
"""What it takes to combine a layer with others, in steps of `Work`."""

BOOLEAN, NULL = Literals(("true", "false")), Literals(("null",))
ANYTHING: tuple[Shape, ...] = (Objects(), Arrays(), Strings(), Numbers(), BOOLEAN, NULL)

_KEYWORDS_OF = {
    "object": ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames",
               "required", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems"),
    "string": ("pattern", "minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}  # fmt: skip
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_SAYS_ELSEWHERE = ("type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf")

_REFUSED = {
    "contains": "what an array has to contain cannot be counted",
    "dependencies": "that a property depends on another is not supported",
    "dependentRequired": "that a property depends on another is not supported",
    "dependentSchemas": "that a property depends on another is not supported",
    "then": "conditions are not supported",
    "else": "conditions are not supported",
    "$dynamicRef": "only $ref is followed",
    "$recursiveRef": "only $ref is followed",
}
"""Keywords that constrain, and that a grammar would silently let go."""


class Reader:
    """The shapes of a document's places. Methods raise `SchemaUnsupported` and `Unsupported`."""

    def __init__(self, document: Document, patterns: Patterns, work: Work) -> None:
        self._document = document
        self._work = work
        self.fitting = Fitting(patterns, work, self.shapes)
        self._known: dict[Key, tuple[Shape, ...]] = {(): ANYTHING}
        self._followed: list[str] = []

    def shapes(self, key: Key) -> tuple[Shape, ...]:
        """The shapes of what fits all places of `key`; none if nothing does."""
        if key not in self._known:
            found = ANYTHING
            for place in key:
                found = self._both(found, self._followed_to(place), place)
            self._known[key] = found
        return self._known[key]

    def _followed_to(self, place: str) -> tuple[Shape, ...]:
        if (place,) in self._known:
            return self._known[place,]
        if place in self._followed:
            raise SchemaUnsupported(place, "it refers to itself with nothing in between, so it describes no value")
        if len(self._followed) == _MAX_FOLLOWED:
            raise SchemaUnsupported(place, f"more than {_MAX_FOLLOWED} references or combinations within each other")
        self._followed.append(place)
        try:
            self._known[place,] = found = self._read(place)
        except Unsupported as error:
            raise SchemaUnsupported(place, str(error)) from error
        self._followed.pop()
        return found

    def _read(self, place: str) -> tuple[Shape, ...]:
        schema = self._document.at(place)
        if isinstance(schema, bool):
            return ANYTHING if schema else ()
        if not isinstance(schema, dict):
            raise SchemaUnsupported(place, "a schema must be an object, true or false")
        for keyword, reason in _REFUSED.items():
            if schema.get(keyword, {}) != {} and (keyword not in ("then", "else") or "if" in schema):
                raise SchemaUnsupported(f"{place}/{keyword}", reason)
        found = self._typed(schema, place)
        for other in self._others(schema, place):
            found = self._both(found, other, place)
        self._work.spend(_SHAPE_STEPS * len(found))
        found = tuple(_without_others(schema, shape, place) for shape in found)
        return self._united([*found, NULL]) if schema.get("nullable") is True else found

    def _typed(self, schema: dict[str, Any], place: str) -> tuple[Shape, ...]:
        """What `type` and the keywords of the types say."""
        document = self._document
        found: list[Shape] = []
        names = _type_names(schema, place)
        for name in names:
            if name == "object":
                found.append(Objects(object_layers(document, schema, place)))
            elif name == "array":
                found.append(Arrays(array_layers(document, schema, place)))
            elif name == "string":
                found.append(Strings(string_layers(document, schema, place)))
            elif name == "number" or (name == "integer" and "number" not in names):
                found.append(Numbers(number_layers(document, schema, place, integer=name == "integer")))
            elif name in ("boolean", "null"):
                found.append(BOOLEAN if name == "boolean" else NULL)
        return tuple(found)

    def _others(self, schema: dict[str, Any], place: str) -> Iterable[tuple[Shape, ...]]:
        """What the keywords say that hold for values of all types."""
        document = self._document
        if "$ref" in schema:
            yield self._followed_to(document.target(schema["$ref"], f"{place}/$ref"))
        if "allOf" in schema:
            for inner in document.schemas(schema["allOf"], f"{place}/allOf"):
                yield self._followed_to(inner)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                inner_places = document.schemas(schema[keyword], f"{place}/{keyword}")
                yield self._united([shape for inner in inner_places for shape in self._followed_to(inner)])
        if "const" in schema:
            yield (Literals((as_json(schema["const"], f"{place}/const"),)),)
        if "enum" in schema:
            values = schema["enum"]
            if not isinstance(values, list) or not values:
                raise SchemaUnsupported(f"{place}/enum", "must be a list of values")
            yield self._united([Literals(tuple(as_json(value, f"{place}/enum") for value in values))])
        if "not" in schema:
            if schema["not"] != {} and not isinstance(schema["not"], bool):
                raise SchemaUnsupported(f"{place}/not", "a grammar cannot say what a value is not")
            yield ANYTHING if schema["not"] is False else ()

    def _both(self, a: tuple[Shape, ...], b: tuple[Shape, ...], place: str) -> tuple[Shape, ...]:
        """The shapes of what fits one of `a` and one of `b`."""
        if a == ANYTHING or b == ANYTHING:
            return b if a == ANYTHING else a
        if len(a) * len(b) > _MAX_SHAPES:
            raise SchemaUnsupported(place, f"there are more than {_MAX_SHAPES:,} combinations of what it allows")
        return self._united([met for one in a for other in b if (met := self._meet(one, other)) is not None])

    def _meet(self, a: Shape, b: Shape) -> Shape | None:
        if isinstance(b, Literals) and not isinstance(a, Literals):
            a, b = b, a
        if isinstance(a, Literals):
            values = self.fitting.those_that_fit(a.values, b)
            return Literals(values) if values else None
        assert not isinstance(b, Literals), "one that is not the other's kind is typed"
        self._work.spend(_LAYER_STEPS * (len(a.layers) + len(b.layers) + 1))
        if isinstance(a, Numbers) and isinstance(b, Numbers):
            return Numbers(tuple(dict.fromkeys(a.layers + b.layers)))
        if isinstance(a, Strings) and isinstance(b, Strings):
            return Strings(tuple(dict.fromkeys(a.layers + b.layers)))
        if isinstance(a, Arrays) and isinstance(b, Arrays):
            return Arrays(tuple(dict.fromkeys(a.layers + b.layers)))
        if isinstance(a, Objects) and isinstance(b, Objects):
            return Objects(tuple(dict.fromkeys(a.layers + b.layers)))
        return None

    def _united(self, shapes: Iterable[Shape]) -> tuple[Shape, ...]:
        """`shapes`, each once, with all values that are listed in one of them."""
        values: dict[str, str] = {}
        found: dict[Shape, None] = {}
        first = None
        for shape in shapes:
            if not isinstance(shape, Literals):
                found[shape] = None
                continue
            self._work.spend(VALUE_STEPS * len(shape.values))
            first = first or shape
            found.setdefault(first)
            for value in shape.values:
                values.setdefault(identity(value), value)
        return tuple(Literals(tuple(values.values())) if shape is first else shape for shape in found)


def _type_names(schema: dict[str, Any], place: str) -> tuple[str, ...]:
    """The types that are allowed: as listed, else those that some keyword is about, else all."""
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        for name in names:
            if name not in _TYPES:
                raise SchemaUnsupported(
                    f"{place}/type", f"there is no type {name!r}", f"Types are {', '.join(_TYPES)}."
                )
        return tuple(names)
    if not any(keyword in schema for keyword in _SAYS_ELSEWHERE):
        names = [name for name, keywords in _KEYWORDS_OF.items() if any(keyword in schema for keyword in keywords)]
        if names:
            return tuple(names)
    return tuple(name for name in _TYPES if name != "integer")


def _without_others(schema: dict[str, Any], shape: Shape, place: str) -> Shape:
    """`shape` without properties and elements that nothing was said of, if unevaluated ones are ruled out."""
    for keyword in ("unevaluatedProperties", "unevaluatedItems"):
        if not isinstance(schema.get(keyword, True), bool):
            raise SchemaUnsupported(f"{place}/{keyword}", "only true and false are supported")
    if isinstance(shape, Objects) and schema.get("unevaluatedProperties") is False:
        if any(layer.additional is not None for layer in shape.layers):
            return shape
        names = tuple((name, ()) for layer in shape.layers for name, _ in layer.properties)
        patterns = tuple((pattern, ()) for layer in shape.layers for pattern, _ in layer.patterns)
        nothing = (f"{place}/unevaluatedProperties",)
        closed = ObjectLayer(properties=names, patterns=patterns, additional=nothing, place=place)
        return Objects((*shape.layers, closed))
    if isinstance(shape, Arrays) and schema.get("unevaluatedItems") is False:
        if any(layer.items is not None for layer in shape.layers):
            return shape
        longest = max((len(layer.prefix) for layer in shape.layers), default=0)
        return Arrays((*shape.layers, ArrayLayer(prefix=((),) * longest, items=(f"{place}/unevaluatedItems",))))
    return shape
