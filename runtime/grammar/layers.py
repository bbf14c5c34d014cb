"""What the keywords of each type say of a value of that type: one schema's layers."""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.grammar.document import Document, below
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.exact import Exact
from runtime.grammar.formats import FORMATS
from runtime.grammar.shapes import ArrayLayer, Key, NumberLayer, ObjectLayer, StringLayer

_MAX_COUNT = 1_000_000
"""Characters, elements or properties: more than any context holds. As an upper limit it is no limit."""


def number_layers(document: Document, schema: dict[str, Any], place: str, *, integer: bool) -> tuple[NumberLayer, ...]:
    """Raises `SchemaUnsupported`, like all here."""
    layers = [NumberLayer(integer=True)] if integer else []
    for keyword, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        is_low = keyword == "minimum"
        # until draft 4, the exclusive keyword was a flag of the other
        flag = schema.get(exclusive) is True
        if keyword in schema:
            layers.append(_bound(document.number(schema[keyword], f"{place}/{keyword}"), is_low=is_low, exclusive=flag))
        if exclusive in schema and not isinstance(schema[exclusive], bool):
            layers.append(
                _bound(document.number(schema[exclusive], f"{place}/{exclusive}"), is_low=is_low, exclusive=True)
            )
    if "multipleOf" in schema:
        step = document.number(schema["multipleOf"], f"{place}/multipleOf")
        if step.units <= 0:
            raise SchemaUnsupported(f"{place}/multipleOf", "must be greater than 0")
        layers.append(NumberLayer(step=step))
    return tuple(layers)


def string_layers(document: Document, schema: dict[str, Any], place: str) -> tuple[StringLayer, ...]:
    """Formats that are not known do not constrain."""
    layers = []
    low, high = _counts(document, schema, place, "minLength", "maxLength")
    if (low, high) != (0, None):
        layers.append(StringLayer(min_length=low, max_length=high))
    if "pattern" in schema:
        pattern = document.text(schema["pattern"], f"{place}/pattern")
        layers.append(StringLayer(pattern=pattern, place=f"{place}/pattern"))
    format_ = FORMATS.get(document.text(schema.get("format", ""), f"{place}/format"))
    if format_ is not None:
        layers.append(StringLayer(pattern=format_, place=f"{place}/format"))
    return tuple(layers)


def array_layers(document: Document, schema: dict[str, Any], place: str) -> tuple[ArrayLayer, ...]:
    """`items` as a list, with `additionalItems`, is what `prefixItems` and `items` were until 2019."""
    first, others = "prefixItems", "items"
    if isinstance(schema.get("items"), list):
        first, others = "items", "additionalItems"
    prefix: list[Key] = []
    if schema.get(first, []) != []:
        prefix = [(inner,) for inner in document.schemas(schema[first], f"{place}/{first}")]
    low, high = _counts(document, schema, place, "minItems", "maxItems")
    items = (f"{place}/{others}",) if others in schema else None
    layer = ArrayLayer(prefix=tuple(prefix), items=items, min_items=low, max_items=high)
    return () if layer == ArrayLayer() else (layer,)


def object_layers(document: Document, schema: dict[str, Any], place: str) -> tuple[ObjectLayer, ...]:
    """`properties` that are listed close the object, unless `additionalProperties` opens it."""
    inner = {
        keyword: tuple((name, (at,)) for name, at in document.named_schemas(schema[keyword], below(place, keyword)))
        for keyword in ("properties", "patternProperties")
        if keyword in schema
    }
    low, high = _counts(document, schema, place, "minProperties", "maxProperties")
    layer = ObjectLayer(
        declares=bool(inner),
        properties=inner.get("properties", ()),
        patterns=inner.get("patternProperties", ()),
        additional=(f"{place}/additionalProperties",) if "additionalProperties" in schema else None,
        names=(f"{place}/propertyNames",) if "propertyNames" in schema else (),
        required=document.names(schema.get("required", []), f"{place}/required"),
        min_properties=low,
        max_properties=high,
    )
    return () if layer == ObjectLayer() else (msgspec.structs.replace(layer, place=place),)


def _bound(number: Exact, *, is_low: bool, exclusive: bool) -> NumberLayer:
    if is_low:
        return NumberLayer(low=number, low_exclusive=exclusive)
    return NumberLayer(high=number, high_exclusive=exclusive)


def _counts(
    document: Document, schema: dict[str, Any], place: str, lowest: str, highest: str
) -> tuple[int, int | None]:
    low = document.count(schema.get(lowest, 0), f"{place}/{lowest}")
    if low > _MAX_COUNT:
        raise SchemaUnsupported(f"{place}/{lowest}", f"more than {_MAX_COUNT:,} cannot be asked for")
    if highest not in schema:
        return low, None
    high = document.count(schema[highest], f"{place}/{highest}")
    return low, high if high <= _MAX_COUNT else None
