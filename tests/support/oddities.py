"""Requests and values that nobody means: data for test_fuzz.py."""

from __future__ import annotations

from typing import Any

GOOD: dict[str, Any] = {
    "prompt": "The",
    "messages": [{"role": "user", "content": "hello"}],
    "input": "The",
    "content": "The",
    "tokens": [5],
    "input_prefix": "The",
    "input_suffix": "The",
    "query": "The",
    "documents": ["The"],
    "filename": "x",
    "model": "demo",
    "max_tokens": 3,
}
"""Makes a request that is answered, where the fields have these names."""

NUMBERS = [0, -1, -0.0, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64, 2**200, 1e308, -1e308, 5e-324, float("inf")]

TEXTS = ["", "\0", "\ud800", "\udfff\ud800", "\u2028", "\uffff", "😀" * 50, "a" * 20_000, "../../x", "{{ 1 }}", "{%"]

GRAMMARS = ['root ::= "a"', "root ::= root", 'root ::= "\0"', "root ::= [", 'root ::= ("a"*)*', "((((", "\ud800 ::= x"]

LISTS: list[Any] = [
    [],
    [[]],
    [None],
    [0] * 3000,
    [""] * 3000,
    ["\0"],
    ["\ud800"],
    [{}],
    [[[[[[[[]]]]]]]],
    [["", -1e308]],
    [{"id": 2**63, "scale": float("inf")}],
]

OBJECTS: list[Any] = [{}, {"": ""}, {"\0": "\0"}, {"\ud800": "\ud800"}, {"type": "\0"}]

SCHEMAS: list[Any] = [
    {"$ref": "#"},
    {"$ref": "\0"},
    {"allOf": [{"$ref": "#"}]},
    {"not": {}},
    {"enum": []},
    {"enum": ["\ud800"]},
    {"const": "\ud800\0"},
    {"type": "object", "properties": {"\ud800": {"const": "\ud800"}}},
    {"type": "string", "pattern": "(a+)+$"},
    {"type": "string", "pattern": "("},
    {"type": "string", "minLength": 2**40},
    {"type": "array", "minItems": 10**9, "items": {}},
    {"type": "integer", "minimum": 5, "maximum": 1},
    {"type": "integer", "minimum": -(10**400)},
    {"type": "number", "multipleOf": 5e-324},
    {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
]

CONVERSATIONS: list[Any] = [
    [{"role": "user", "content": None}],
    [{"role": "user", "content": "\ud800"}],
    [{"role": "\0", "content": "x"}],
    [{"role": "system", "content": ""}],
    [{"role": "assistant", "content": "x"}],
    [{"role": "tool", "content": "x"}],
    [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}],
    [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "\ud800", "content": "x"}]}],
    [{"role": "user", "content": "x"}] * 2000,
]

TOOLS: list[Any] = [
    [{"type": "function", "function": {"name": "\0", "parameters": schema}}, {"name": "\ud800", "input_schema": schema}]
    for schema in SCHEMAS
] + [
    [{"type": "function", "function": {"name": "f", "parameters": schema}, "name": "f", "input_schema": schema}]
    for schema in (*SCHEMAS, {"type": "array"}, {"\ud800": {}})
]

CHOICES: list[Any] = [
    {"type": "tool", "name": "\ud800"},
    {"type": "function", "function": {"name": "f"}},
    {"type": "any"},
    {"type": "enabled", "budget_tokens": -1},
    {"effort": "max", "format": {"type": "json_schema", "schema": {"$ref": "#"}}},
    {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}},
]

ODDEST: list[Any] = [None, -1, 2**64, float("inf"), "", "\0", "\ud800", [], {}]
"""What every part of a request is tried with."""

ODD: list[Any] = [
    None,
    True,
    *NUMBERS,
    *TEXTS,
    *GRAMMARS,
    *LISTS,
    *OBJECTS,
    *SCHEMAS,
    *CONVERSATIONS,
    *TOOLS,
    *CHOICES,
]
"""Any field of a request may be given any of them."""

NO_REQUESTS = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "NaN": b"NaN",
    "NaN in a field": b'{"temperature": NaN, "messages": NaN}',
    "a number too large": b'{"temperature": 1e400, "max_tokens": 1e400, "prompt": "x"}',
    "minus nothing": b'{"max_tokens": -0, "seed": -0, "prompt": "x", "messages": []}',
    "a long number": b'{"seed": ' + b"9" * 100_000 + b"}",
    "brackets": b"[" * 100_000,
    "brackets that close": b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "braces": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "braces in messages": b'{"max_tokens": 1, "messages": [{"role": "user", "content": ' + b'{"a":' * 100_000,
    "the same key twice": b'{"prompt": "x", "prompt": 1, "max_tokens": 1, "max_tokens": "x"}',
    "bytes that are no UTF-8": b'{"prompt": "\xff\xfe", "messages": [{"role": "\xff"}]}',
    "a byte order mark": b'\xef\xbb\xbf{"prompt": "x"}',
    "UTF-16": '{"prompt": "x"}'.encode("utf-16"),
    "NULs": b"\0" * 1000,
    "half an escape": b'{"prompt": "\\ud8',
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
}
"""Bodies that are no request of any route."""
