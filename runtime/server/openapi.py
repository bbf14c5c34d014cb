"""`/openapi.json`: what can be asked of this server, made of the dialects' own routes, types and docstrings.

Knows how routes become OpenAPI 3.1. Refuses to know any dialect.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from runtime import __version__
from runtime.machine.lean import itself
from runtime.server.dialect import Dialect, Failure, Handler, Overflow, Route
from runtime.server.json import encode

_PARAMETER = re.compile(r"{(\w+)(?::[^}]*)?}")
"""A variable part of a path, with the pattern that it may have in aiohttp's form."""

_RAISES = re.compile(r"\s*Raises `[^.]*\.")
"""What a docstring says to programmers: clients get errors by their status."""

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}
"""How a key is sent, where the server wants one (`access.py`)."""


def describing(dialects: tuple[Dialect, ...], prefix: str) -> Handler:
    """A handler that answers with their description; `prefix` comes before all paths."""

    @cache
    def encoded() -> bytes:
        return encode(description(dialects) | ({"servers": [{"url": prefix}]} if prefix else {}))

    async def openapi(_request: web.Request) -> web.Response:
        """This description."""
        body = await asyncio.to_thread(encoded)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return openapi


def description(dialects: Sequence[Dialect]) -> dict[str, Any]:
    """The OpenAPI document: each path of each route, with the types that bodies are parsed into."""
    routes = [(dialect, route) for dialect in dialects for route in dialect.routes]
    bodies = [itself(route.body) for _dialect, route in routes if route.body is not None]
    schemas, components = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    schema_of = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for dialect, route in routes:
        body = None if route.body is None else next(schema_of)
        for path in route.paths:
            operations = paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
            operations[route.method.lower()] = _operation(dialect, route, path, body)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "loaf",
            "version": __version__,
            "description": "One language model in several dialects. Unknown fields are ignored, null counts as absent.",
        },
        "tags": [{"name": dialect.name} for dialect in dialects],
        "security": [{}, *({name: []} for name in _KEYS)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {one.name: _refusal(one) for one in dialects},
            "securitySchemes": _KEYS,
        },
    }


def _operation(dialect: Dialect, route: Route, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
    summary, _, more = _RAISES.sub("", inspect.getdoc(itself(route.handler)) or "").partition("\n")
    names = _PARAMETER.findall(path)
    operation: dict[str, Any] = {
        "operationId": "_".join([route.method.lower(), *re.findall(r"\w+", path)]),
        "tags": [dialect.name],
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", "content": {kind: {} for kind in _answers(dialect, route)}},
            "default": {"$ref": f"#/components/responses/{dialect.name}"},
        },
    }
    if more.strip():
        operation["description"] = more.strip()
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if body is not None:
        content = {"schema": body} | ({} if route.example is None else {"example": route.example})
        operation["requestBody"] = {"required": True, "content": {route.takes: content}}
    return operation


def _answers(dialect: Dialect, route: Route) -> Iterator[str]:
    """The content types that an answer may have: a stream's too, where the body can ask for one."""
    yield route.answer
    if "stream" in getattr(itself(route.body), "__struct_fields__", ()):
        yield dialect.stream


def _refusal(dialect: Dialect) -> dict[str, Any]:
    """What says in `dialect` that something went wrong."""
    example = dialect.error(Failure(400, "invalid_request_error", "max_tokens: Expected `int`, got `str`"))
    other = dialect.error(Failure(400, "exceed_context_size_error", "too long", overflow=Overflow(9000, 8192)))
    content = {"application/json": {"schema": _form_of(example, other), "example": example}}
    return {"description": "What went wrong", "content": content}


def _form_of(example: Any, other: Any) -> dict[str, Any]:
    """A schema of what looks like either of two examples, which have the same fields."""
    if isinstance(example, dict):
        properties = {name: _form_of(value, other[name]) for name, value in example.items()}
        return {"type": "object", "properties": properties, "required": list(example)}
    types = {str: "string", int: "integer"}
    either = list(dict.fromkeys([types[type(example)], types[type(other)]]))
    return {"type": either[0] if len(either) == 1 else either}
