"""The tools of `/v1/responses`: functions, by themselves or in a namespace, and custom tools, which take free text.

A custom tool is a function of one argument to the model, `input`; where its text has to follow a grammar that can be
said as a regular expression, the model is held to it. The answer names each tool as the client did (`Origin`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from runtime.chat.messages import Tool
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.json_schema import grammar_of
from runtime.grammar.lark import LarkUnsupported, pattern_of
from runtime.server.tools import Offered, PassedOver, ToolField, functions_of, gathered

INPUT = "input"
"""The argument that the text of a custom tool is to the model."""


class Origin(msgspec.Struct, frozen=True):
    """What a tool is to the client: its name there, the namespace it is in, and whether it takes free text."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


class ResponseTools(msgspec.Struct, frozen=True):
    """The tools that can be called, and what they are to the client, by the names that the model knows."""

    offered: Offered
    origins: Mapping[str, Origin]

    def origin(self, name: str) -> Origin:
        return self.origins.get(name) or Origin(name)


def response_tools(given: Sequence[ToolField]) -> ResponseTools:
    """What can be called of `given`. Raises `BadRequest` for one without a name."""
    origins: dict[str, Origin] = {}
    return ResponseTools(gathered(_tools(given, origins)), origins)


def _tools(given: Sequence[ToolField], origins: dict[str, Origin]) -> Iterator[Tool | PassedOver]:
    """Each tool; `origins` are added to."""
    for i, entry in enumerate(given):
        for one, tool in functions_of(f"tools[{i}]", entry):
            if tool is None and one.type == "custom" and one.name:
                origins[one.name] = Origin(one.name, is_custom=True)
                yield _custom(one.name, one.description or "", one.format)
            elif tool is None:
                yield PassedOver(one.type, one.name)
            else:
                if entry.type == "namespace" and one.name:
                    origins[tool.name] = Origin(one.name, entry.name)
                yield tool


def _custom(name: str, description: str, format_: Any) -> Tool:
    given: dict[str, Any] = format_ if isinstance(format_, dict) else {}
    nested = given.get("grammar")
    given = nested if isinstance(nested, dict) else given  # as OpenAI's chat has it
    syntax, definition = given.get("syntax"), given.get("definition")
    text: dict[str, Any] = {"type": "string"}
    if isinstance(syntax, str) and isinstance(definition, str):
        description = f"{description}\n\nThe input follows this {syntax} grammar:\n{definition}".lstrip()
        pattern = _pattern(syntax, definition)
        text |= {"pattern": pattern} if pattern is not None else {}
    return Tool(name, description, {"type": "object", "properties": {INPUT: text}, "required": [INPUT]})


@lru_cache(maxsize=64)
def _pattern(syntax: str, definition: str) -> str | None:
    """The regular expression that the input has to follow; None where it cannot be had, and the model is only told."""
    try:
        pattern = rf"^(?:{definition})$" if syntax == "regex" else pattern_of(definition)
        grammar_of({"type": "string", "pattern": pattern})
    except (LarkUnsupported, SchemaUnsupported):
        return None
    return pattern
