"""Random schemas, each with a value that fits it, and ways in which a model might write the value."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text('abé"\\ /~%', max_size=4) | st.sampled_from(["id", "name", "type", "$ref", "properties"])
NUMBERS = st.integers(-(10**15), 10**15) | st.decimals(-1000, 1000, places=3).map(float)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)

PATTERNS = [
    "^a*b+$",
    "x",
    "^(foo|bar)?-[0-9]{2,3}$",
    '^[^\\n"]{1,4}$',
    "^\\w+[ -]\\w+$",
    "[A-F]$",
    "^(?!no)[^\n]*$",
    '^[\\\\"/]+$',
]
"""With the same meaning in Python's `re`, whose `.` and `\\s` take other characters."""

Pair = tuple[Any, Any]


@st.composite
def integers(draw: st.DrawFn) -> Pair:
    value = draw(st.integers(-(10**15), 10**15) | st.integers(-120, 120))
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", ["null", "integer"]]))}
    if draw(st.booleans()):
        schema["minimum"] = value - draw(st.integers(0, 1000))
    elif draw(st.booleans()):
        schema["exclusiveMinimum"] = value - draw(st.integers(1, 1000))
    if draw(st.booleans()):
        schema["maximum"] = value + draw(st.integers(0, 1000))
    if draw(st.integers(0, 4)) == 0:
        step = draw(st.integers(1, 12))
        schema["multipleOf"] = step if value % step == 0 else 1
    return schema, value


@st.composite
def numbers(draw: st.DrawFn) -> Pair:
    value = draw(st.decimals(-1000, 1000, places=3))
    schema: dict[str, Any] = {"type": "number"}
    if draw(st.booleans()):
        schema["minimum"] = float(value - draw(st.decimals(0, 100, places=2)))
    if draw(st.booleans()):
        schema["exclusiveMaximum"] = float(value + draw(st.decimals(1, 100, places=2)))
    return schema, float(value) + 0.0  # never -0.0


@st.composite
def strings(draw: st.DrawFn) -> Pair:
    if draw(st.integers(0, 2)) == 0:
        pattern = draw(st.sampled_from(PATTERNS))
        surrogates = st.characters(exclude_categories=["Cs"])
        return {"type": "string", "pattern": pattern}, draw(
            st.from_regex(f"(?a:{pattern})", alphabet=surrogates).filter(lambda text: not text.endswith("\n"))
        )
    value = draw(TEXT)
    schema: dict[str, Any] = {"type": "string"}
    if draw(st.booleans()):
        schema["minLength"] = max(len(value) - draw(st.integers(0, 2)), 0)
    if draw(st.booleans()):
        schema["maxLength"] = len(value) + draw(st.integers(0, 2))
    return schema, value


@st.composite
def listed(draw: st.DrawFn) -> Pair:
    values = draw(st.lists(JSON, min_size=1, max_size=5))
    return draw(st.sampled_from([({"enum": values}, values[-1]), ({"const": values[0]}, values[0])]))


def arrays(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    @st.composite
    def build(draw: st.DrawFn) -> Pair:
        prefix = draw(st.lists(inner, max_size=2))
        item, one = draw(inner)
        values = [value for _, value in prefix] + [one] * draw(st.integers(0, 3))
        schema: dict[str, Any] = {"type": "array", "items": item}
        if prefix:
            schema["prefixItems"] = [part for part, _ in prefix]
        if draw(st.booleans()):
            schema["minItems"] = max(len(values) - draw(st.integers(0, 2)), 0)
        if draw(st.booleans()):
            schema["maxItems"] = len(values) + draw(st.integers(0, 2))
        return schema, values

    return build()


def objects(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    @st.composite
    def build(draw: st.DrawFn) -> Pair:
        members = draw(st.dictionaries(NAMES, inner, max_size=4))
        written = {name: value for name, (_, value) in members.items() if draw(st.booleans())}
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: part for name, (part, _) in members.items()},
            "required": [name for name in written if draw(st.booleans())],
        }
        if draw(st.booleans()):
            part, value = draw(inner)
            schema["additionalProperties"] = part
            others = draw(st.lists(NAMES.filter(lambda name: name not in members), max_size=2, unique=True))
            written |= dict.fromkeys(others, value)
        if draw(st.booleans()):
            schema["minProperties"] = max(len(written) - draw(st.integers(0, 1)), 0)
            schema["maxProperties"] = len(written) + draw(st.integers(0, 1))
        return schema, written

    return build()


def combined(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    @st.composite
    def build(draw: st.DrawFn) -> Pair:
        ways = draw(st.lists(inner, min_size=1, max_size=3))
        schema, value = draw(st.sampled_from(ways))
        kind = draw(st.sampled_from(["anyOf", "oneOf", "allOf", "nullable"]))
        if kind == "allOf":
            return {"allOf": [schema, {}, True]}, value
        if kind == "nullable":
            return {"allOf": [schema], "nullable": True}, draw(st.sampled_from([value, None]))
        return {kind: [part for part, _ in ways]}, value

    return build()


def schemas_and_values() -> st.SearchStrategy[Pair]:
    """A schema and a value that fits it, whose names come in the order in which the schema has them."""
    leaves = integers() | numbers() | strings() | listed() | st.sampled_from([({}, [1, "a"]), ({"type": "null"}, None)])
    return st.recursive(leaves, lambda inner: arrays(inner) | objects(inner) | combined(inner), max_leaves=6)


def written(value: Any) -> st.SearchStrategy[str]:
    """The value as JSON, with little or much whitespace."""
    ways = [{"separators": (",", ":")}, {}, {"indent": 2}, {"indent": "\t"}]
    return st.sampled_from(ways).map(lambda way: json.dumps(value, ensure_ascii=False, **way))  # type: ignore[arg-type]
