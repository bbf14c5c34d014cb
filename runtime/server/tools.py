"""Tools as clients offer them, and which of them may or must be called.

Functions can be called, however they are wrapped: as OpenAI's chat has them, flat as its Responses and some clients do,
in namespaces. Clients offer tools of other kinds beside them, which run on somebody else's servers or which nobody
described: those are passed over, and only who demands one is refused. Refuses to know how calls are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from runtime.chat.conversation import ToolChoice
from runtime.chat.messages import Tool
from runtime.server.refusals import BadRequest


class FunctionSchema(msgspec.Struct, omit_defaults=True):
    """What a function is for, and the JSON schema of its arguments."""

    name: str | None = None
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None


class ToolField(msgspec.Struct, omit_defaults=True):
    """What the model may call, in any form: a `function`, or its fields beside the type; `tools` are a namespace's."""

    type: str | None = None
    function: FunctionSchema | None = None
    name: str | None = None
    description: str | None = None
    parameters: Any = None
    input_schema: Any = None
    strict: bool | None = None
    format: Any = None
    tools: list[ToolField] | None = None


class Offered(msgspec.Struct, frozen=True):
    """The tools that can be called; `passed_over` are the kinds and names of others."""

    tools: tuple[Tool, ...] = ()
    passed_over: frozenset[str] = frozenset()

    def named(self, name: str) -> ToolChoice:
        """The choice of the one tool that must be called. Raises `BadRequest` where it is none of these."""
        self._must_be_here(name)
        return ToolChoice(name=name)

    def chosen(self, kind: str, name: str | None) -> ToolChoice:
        """The choice that an object makes: a mode, as a type of its own, or the one tool `name` of the type `kind`.

        Raises `BadRequest`.
        """
        if kind in _MODES:
            return tool_choice(kind)
        if name is None:
            raise _not_callable(kind)
        return self.named(name)

    def only(self, names: Iterable[str]) -> tuple[Tool, ...]:
        """Those that are named; what was passed over cannot be among them. Raises `BadRequest` for unknown names."""
        wanted = set(names)
        for name in sorted(wanted - self.passed_over):
            self._must_be_here(name)
        return tuple(one for one in self.tools if one.name in wanted)

    def _must_be_here(self, name: str) -> None:
        if any(one.name == name for one in self.tools):
            return
        if name in self.passed_over:
            raise _not_callable(name)
        raise BadRequest(f"tool_choice: there is no tool {name!r}", "tool_choice", "Name one of tools.")


_MODES = ("auto", "none", "required", "any")


def _not_callable(kind: str) -> BadRequest:
    """Why a tool of another kind cannot be demanded."""
    return BadRequest(f"tool_choice: must be a function, not {kind!r}", "tool_choice")


def tool_choice(mode: str | None) -> ToolChoice:
    """What `tool_choice` says in one word. Raises `BadRequest`."""
    if mode is None or mode == "auto":
        return ToolChoice()
    if mode == "none":
        return ToolChoice("none")
    if mode in ("required", "any"):
        return ToolChoice("required")
    raise BadRequest(f"tool_choice: must be auto, none, required or a named tool, not {mode!r}", "tool_choice")


class PassedOver(msgspec.Struct, frozen=True):
    """A tool that cannot be called: its kind, and its name if it has one."""

    kind: str | None
    name: str | None


def offered(given: Sequence[ToolField]) -> Offered:
    """The functions of `given`. Raises `BadRequest` for one without a name."""
    found = (one for i, entry in enumerate(given) for one in functions_of(f"tools[{i}]", entry))
    return gathered(tool or PassedOver(entry.type, entry.name) for entry, tool in found)


def gathered(tools: Iterable[Tool | PassedOver]) -> Offered:
    """What `tools` amount to."""
    callable_: list[Tool] = []
    others: set[str] = set()
    for tool in tools:
        if isinstance(tool, Tool):
            callable_.append(tool)
        else:
            others.update(filter(None, (tool.kind, tool.name)))
    return Offered(tuple(callable_), frozenset(others))


def functions_of(field: str, entry: ToolField) -> Iterator[tuple[ToolField, Tool | None]]:
    """Each tool of an entry, with the function that it is, None for another kind.

    Raises `BadRequest` for a function without a name.
    """
    if entry.type != "namespace":
        yield entry, _function(field, entry)
        return
    for i, one in enumerate(entry.tools or ()):
        for inner, tool in functions_of(f"{field}.tools[{i}]", one):
            name = in_namespace(entry.name, tool.name) if tool else ""
            yield inner, msgspec.structs.replace(tool, name=name) if tool else None


def in_namespace(namespace: str | None, name: str) -> str:
    """What a model calls a function of a namespace: names alone may be those of others."""
    return f"{namespace.rstrip('_')}__{name}" if namespace else name


def _function(field: str, entry: ToolField) -> Tool | None:
    is_function = entry.type in (None, "function") or entry.function is not None or entry.input_schema is not None
    if not is_function:
        return None
    given = entry.function or FunctionSchema(
        entry.name, entry.description, entry.parameters if entry.input_schema is None else entry.input_schema
    )
    if not given.name:
        raise BadRequest(f"{field}.name: is missing", f"{field}.name")
    return Tool(given.name, given.description or "", given.parameters if isinstance(given.parameters, dict) else {})
