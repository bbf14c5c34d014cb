"""A tool call in a family's format: to show a model how it is done, and for templates that cannot say that one was."""

from __future__ import annotations

import json
from typing import Any

from runtime.chat.formats.format import (
    Arguments,
    Calls,
    Filler,
    Form,
    JsonCall,
    Name,
    Number,
    Part,
    ShortId,
    TaggedArguments,
)
from runtime.chat.messages import Tool, ToolCall

_INSTRUCTIONS = """\
You may call one or more of these functions. Each is described by its name and the JSON schema of its parameters:

{tools}

To call a function, write nothing but this, with the function's name and your arguments in place of the example's:

{example}"""

_EXAMPLE = ToolCall("0", "example_function", {"example_parameter": "value"})


def instructions(tools: tuple[Tool, ...], calls: Calls) -> str:
    """What a model has to be told whose template does not tell it."""
    return _INSTRUCTIONS.format(
        tools="\n".join(json.dumps(as_openai_has_it(tool), ensure_ascii=False) for tool in tools),
        example=written_calls((_EXAMPLE,), calls),
    )


def as_openai_has_it(tool: Tool) -> dict[str, Any]:
    """The tool in OpenAI's form, which templates expect."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def written_calls(made: tuple[ToolCall, ...], calls: Calls) -> str:
    """The calls as the model itself would write them."""
    form = calls.forms[0]
    written = (", " if calls.listed else calls.between).join(_call(form, call, i) for i, call in enumerate(made))
    if calls.listed:
        written = f"[{written}]"
    return f"{calls.section.begin}{written}{calls.section.end}" if calls.section else written


def _call(form: Form, call: ToolCall, number: int) -> str:
    return "".join(_part(part, call, number) for part in form)


def _part(part: Part, call: ToolCall, number: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Name):
        return call.name
    if isinstance(part, Number):
        return str(number)
    if isinstance(part, ShortId):
        return call.id
    if isinstance(part, Filler):
        return part.options[0]
    if isinstance(part, Arguments):
        return _json(call.arguments)
    if isinstance(part, TaggedArguments):
        return "".join(
            f"{part.begin}{name}{part.middle}{value if isinstance(value, str) else _json(value)}{part.end}"
            for name, value in call.arguments.items()
        )
    return _json(_members(part, call))


def _members(keys: JsonCall, call: ToolCall) -> dict[str, Any]:
    before = {keys.id_before: call.id} if keys.id_before else {}
    after = {keys.id_after: call.id} if keys.id_after else {}
    return {**before, keys.name: call.name, keys.arguments: call.arguments, **after}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
