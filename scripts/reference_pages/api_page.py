"""`docs/api.md`: every route and every field of what it takes, as `/openapi.json` describes them.

Knows the description, OpenAPI 3.1 as `runtime/server/openapi.py` writes it. Refuses to know the dialects' modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runtime.server.app import DIALECTS, PUBLIC
from runtime.server.openapi import description
from runtime.server.sampling import SamplingFields

_TITLES = {"llamacpp": "llama.cpp", "openai": "OpenAI", "ollama": "Ollama", "anthropic": "Anthropic"}
_SAMPLING = "Fields of sampling"
_HEAD = """\
# The API

*Written by `scripts/reference` from the description that the server itself gives at `/openapi.json`, and shows at
`/docs`.*

A bundle speaks these dialects on one port. Bodies are JSON; a field that is unknown is ignored, null counts as absent,
16.0 is 16, and `[]` an empty object where one is needed. Numbers in strings are taken among Ollama's `options`; a word
for an effort that is unknown is the nearest one that is known. HEAD is answered wherever GET is.

What a field means is said by its dialect's own reference: llama-server's README, OpenAI's, Ollama's
([what differs](ollama.md)), Anthropic's. What is wrong with a request is answered in the form of the dialect's errors.

Where the server was given keys, each request brings one: `Authorization: Bearer KEY`, or `X-Api-Key: KEY`
([who may call](flags.md#who-may-call)). These need none:
{public}. `/` is the page, made of what is at `/assets/{{name}}`; `/docs` shows the API, `/openapi.json` describes it.
"""

Schema = Mapping[str, Any]


def api_page() -> str:
    """The page, in Markdown."""
    document = description(DIALECTS)
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    lines = [_HEAD.format(public=", ".join(f"`{path}`" for path in sorted(PUBLIC)))]
    for dialect in DIALECTS:
        lines += ["", f"## {_TITLES[dialect.name]}"]
        for operation, places in _operations(document["paths"], dialect.name):
            lines += ["", f"### {_TITLES[dialect.name]}: `{places[0]}`", "", *_operation(operation, places, schemas)]
    lines += ["", f"## {_SAMPLING}", "", "Where a request does not say, the bundle's [flags](flags.md) do.", ""]
    lines += _fields(_sampling(schemas), schemas, without=frozenset())
    lines += ["", "## Types"]
    for name in sorted(_parts(document), key=_label):
        lines += ["", f"### {_label(name)}", "", *_described(schemas[name].get("description", "")), ""]
        lines += _fields(schemas[name], schemas, without=frozenset())
    return "\n".join(_single_blanks(lines)) + "\n"


def _operations(paths: Schema, dialect: str) -> Iterator[tuple[Schema, list[str]]]:
    """Each operation of `dialect` with all places it is found at, `METHOD path`; first things first."""
    found: dict[tuple[str, str, str], tuple[Schema, list[str]]] = {}
    for path, operations in paths.items():
        for method, operation in operations.items():
            if dialect in operation["tags"]:
                key = (method, operation["summary"], str(operation.get("requestBody")))
                found.setdefault(key, (operation, []))[1].append(f"{method.upper()} {path}")
    yield from found.values()


def _operation(operation: Schema, places: Sequence[str], schemas: Mapping[str, Schema]) -> Iterator[str]:
    yield operation["summary"]
    yield from _described(operation.get("description", ""))
    if places[1:]:
        yield f"Also {', '.join(f'`{place}`' for place in places[1:])}."
    kinds = " or ".join(f"`{kind}`" for kind in operation["responses"]["200"]["content"])
    if kinds != "`application/json`":
        yield f"Answers with {kinds}."
    if "requestBody" not in operation:
        return
    body = _resolved(_body_of(operation), schemas)
    takes = next(iter(operation["requestBody"]["content"]))
    yield from ("", *([f"Takes `{takes}`."] if takes != "application/json" else []))
    yield from (*_described(body.get("description", "")), "")
    samples = _sampling_names() <= set(body.get("properties", ()))
    yield from _fields(body, schemas, without=_sampling_names() if samples else frozenset())
    if samples:
        yield from ("", f"And the [{_SAMPLING.lower()}](#{_anchor(_SAMPLING)}).")


def _fields(schema: Schema, schemas: Mapping[str, Schema], without: frozenset[str]) -> Iterator[str]:
    """A table; what has no fields is said in words."""
    properties = {name: one for name, one in schema.get("properties", {}).items() if name not in without}
    if not properties:
        yield f"{_type(schema, schemas)}."
        return
    required = schema.get("required", ())
    yield from ("| field | type | default |", "| --- | --- | --- |")
    for name, one in sorted(properties.items(), key=lambda field: field[0] not in required):
        yield f"| `{name}` | {_type(one, schemas)} | {'required' if name in required else _default(one)} |"


def _default(schema: Schema) -> str:
    value = schema.get("default")
    return "" if value in (None, [], {}, "") else f"`{value}`"


def _type(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    """In words, without null, which is absence everywhere."""
    if "$ref" in schema:
        name = _name_of(schema["$ref"])
        return f"[{_label(name)}](#{_anchor(_label(name))})"
    if "anyOf" in schema:
        kinds = [_type(one, schemas) for one in schema["anyOf"] if one != {"type": "null"}]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "prefixItems" in schema:
        return f"list of {', '.join(_type(one, schemas) for one in schema['prefixItems'])}"
    if schema.get("type") == "array":
        items = _type(schema.get("items", {}), schemas)
        return f"list of {f'({items})' if ' or ' in items else items}"
    return str(schema.get("type", "anything"))


def _sampling(schemas: Mapping[str, Schema]) -> Schema:
    """The fields that all dialects of llama-server share, with their types from one of the bodies that have them."""
    names = _sampling_names()
    owner = next(one for one in schemas.values() if names <= set(one.get("properties", ())))
    return {"properties": {name: owner["properties"][name] for name in SamplingFields.__struct_fields__}}


def _sampling_names() -> frozenset[str]:
    return frozenset(SamplingFields.__struct_fields__)


def _parts(document: Schema) -> set[str]:
    """The types that are no bodies themselves, but parts of them."""
    bodies = {
        _name_of(_body_of(operation).get("$ref", ""))
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    }
    return {name for name in document["components"]["schemas"] if name not in bodies}


def _body_of(operation: Schema) -> Schema:
    """The schema of what is sent, in whichever form."""
    (content,) = operation["requestBody"]["content"].values()
    schema: Schema = content["schema"]
    return schema


def _resolved(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    return schemas[_name_of(schema["$ref"])] if "$ref" in schema else schema


def _name_of(reference: str) -> str:
    return reference.rpartition("/")[2]


def _label(name: str) -> str:
    """`ChatMessage`, or where several dialects have one, `ChatMessage (ollama)`."""
    *modules, last = name.split(".")
    return f"{last} ({_owner(modules)})" if modules else last


def _owner(modules: Sequence[str]) -> str:
    """The dialect of a type, or the module that several share."""
    return modules[2] if modules[2] in _TITLES else "several dialects"


def _anchor(title: str) -> str:
    """As GitHub makes one of a heading."""
    kept = "".join(character for character in title.lower() if character.isalnum() or character in " -_")
    return kept.replace(" ", "-")


def _described(text: str) -> Iterator[str]:
    yield from (line.strip() for line in text.splitlines())


def _single_blanks(lines: Sequence[str]) -> Iterator[str]:
    last = ""
    for line in "\n".join(lines).split("\n"):
        if line or last:
            yield line
        last = line
