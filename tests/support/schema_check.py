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
        # until 2019, items could be a list, and additionalItems what comes behind it
        prefix, items = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(items, list):
            prefix, items = items, schema.get("additionalItems", True)
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf))
        checks += [inner(one, part) for one, part in zip(value, prefix, strict=False)]
        checks += [inner(one, items) for one in value[len(prefix) :]]
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
    low, high = Fraction(str(schema.get("minimum", value))), Fraction(str(schema.get("maximum", value)))
    checks = [low <= exact <= high]
    for keyword, is_above in (("exclusiveMinimum", True), ("exclusiveMaximum", False)):
        bound = schema.get(keyword, False)
        if bound is True:  # until draft 4
            checks.append(exact != (low if is_above else high))
        elif bound is not False:
            checks.append(exact > Fraction(str(bound)) if is_above else exact < Fraction(str(bound)))
    step = Fraction(str(schema.get("multipleOf", 0)))
    return all(checks) and (step == 0 or (exact / step).denominator == 1)


def _at(root: Any, reference: str) -> Any:
    for token in unquote(reference).split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        root = root[int(token)] if isinstance(root, list) else root[token]
    return root
