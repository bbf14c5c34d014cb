"""Whether a value fits a JSON schema, as the specification has it: small, plain, and apart from the compiler.

Knows the keywords that the tests use. `oneOf` is taken as `anyOf`, as the compiler says it does.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

_TYPES: dict[str, Any] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: _TYPES["number"](value) and value == math.floor(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def fits(value: Any, schema: Any, root: Any = None) -> bool:
    """Whether `value` fits `schema`, whose references point into `root`, or into itself."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    if schema.get("nullable") is True and value is None:
        return True

    def inner(value: Any, schema: Any) -> bool:
        return fits(value, schema, root)

    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    checks = [not types or any(_TYPES[name](value) for name in types)]
    if "$ref" in schema:
        checks.append(inner(value, _at(root, schema["$ref"])))
    checks.append(all(inner(value, part) for part in schema.get("allOf", [])))
    for keyword in ("anyOf", "oneOf"):
        checks.append(keyword not in schema or any(inner(value, part) for part in schema[keyword]))
    checks.append("enum" not in schema or any(same(value, one) for one in schema["enum"]))
    checks.append("const" not in schema or same(value, schema["const"]))
    if _TYPES["number"](value):
        checks.append(_number_fits(value, schema))
    elif isinstance(value, str):
        checks.append(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf))
        checks.append("pattern" not in schema or re.search(schema["pattern"], value, re.ASCII) is not None)
    elif isinstance(value, list):
        prefix = schema.get("prefixItems", [])
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf))
        checks += [inner(one, part) for one, part in zip(value, prefix, strict=False)]
        checks += [inner(one, schema.get("items", True)) for one in value[len(prefix) :]]
    elif isinstance(value, dict):
        checks.append(schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf))
        checks.append(all(name in value for name in schema.get("required", [])))
        checks += [inner(name, schema.get("propertyNames", True)) for name in value]
        for name, one in value.items():
            parts = [schema["properties"][name]] if name in schema.get("properties", {}) else []
            parts += [part for key, part in schema.get("patternProperties", {}).items() if re.search(key, name)]
            checks += [inner(one, part) for part in parts or [schema.get("additionalProperties", True)]]
    return all(checks)


def same(a: Any, b: Any) -> bool:
    """Equality as JSON has it: 1 is 1.0, and not true."""
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return bool(a == b)


def _number_fits(value: float, schema: Any) -> bool:
    exact = Fraction(str(value))
    return (
        exact >= Fraction(str(schema.get("minimum", value)))
        and exact <= Fraction(str(schema.get("maximum", value)))
        and ("exclusiveMinimum" not in schema or exact > Fraction(str(schema["exclusiveMinimum"])))
        and ("exclusiveMaximum" not in schema or exact < Fraction(str(schema["exclusiveMaximum"])))
        and ("multipleOf" not in schema or (exact / Fraction(str(schema["multipleOf"]))).denominator == 1)
    )


def _at(root: Any, reference: str) -> Any:
    for token in unquote(reference).split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        root = root[int(token)] if isinstance(root, list) else root[token]
    return root
