"""What a chat template can do, found out by trying it with small conversations.

Templates differ in what they show of a conversation, and refuse or silently leave out the rest. So each part is put
into a conversation as a word of its own, and looked for in what comes out. Knows templates; refuses to know families.
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.chat.errors import TemplateFailed
from runtime.chat.template import ChatTemplate, Rendered

_SYSTEM, _USER, _SAID, _THOUGHT, _RESULT = "qsystemq", "quserq", "qsaidq", "qthoughtq", "qresultq"
_TOOL, _OTHER, _ARGUMENT, _VALUE = "qtoolq", "qotherq", "qargumentq", "qvalueq"
_ID, _OTHER_ID = "qidqidqid", "qidqidqie"
"""Nine letters: Mistral's templates want just that."""

_ASKED = {"role": "user", "content": _USER}
_RESULT_OF_CALL = {"role": "tool", "name": _TOOL, "tool_call_id": _ID, "content": _RESULT}
_DESCRIBED: list[Rendered] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {
                "type": "object",
                "properties": {_ARGUMENT: {"type": "string", "description": _ARGUMENT}},
                "required": [_ARGUMENT],
            },
        },
    }
    for name in (_TOOL, _OTHER)
]


class Capabilities(msgspec.Struct, frozen=True):
    """What a template shows, and in which form it wants it.

    `tools`, `calls` and `results`: descriptions of tools, calls in earlier turns, and what they gave. `several_calls`
    in one turn. `text_arguments`: arguments are JSON in a string rather than an object. `null_content`: null rather
    than "" beside calls. `content_beside_calls` and `content_beside_both`, calls and reasoning, is shown or at least no
    harm to them. `system`: that role. `parts`: content
    is a list of parts. `no_tools_is_a_list`: an empty one rather than none.
    """

    tools: bool = False
    calls: bool = False
    results: bool = False
    several_calls: bool = False
    text_arguments: bool = False
    null_content: bool = False
    content_beside_calls: bool = False
    content_beside_both: bool = False
    system: bool = False
    parts: bool = False
    no_tools_is_a_list: bool = False


def capabilities_of(template: ChatTemplate) -> Capabilities:
    """What `template` can do. Nothing of it raises; a template that fails at everything can do nothing."""
    parts = not _shows(template, [_ASKED], _USER) and _shows(template, [_in_parts(_ASKED)], _USER)
    asked = _in_parts(_ASKED) if parts else _ASKED
    no_tools_is_a_list = not _shows(template, [asked], _USER) and _shows(template, [asked], _USER, [])
    system: Rendered = {"role": "system", "content": _SYSTEM}
    system = _in_parts(system) if parts else system
    none: list[Rendered] | None = [] if no_tools_is_a_list else None
    tools = all(_shows(template, [asked], word, _DESCRIBED) for word in (_TOOL, _ARGUMENT))
    given = _DESCRIBED if tools else none
    text_arguments, null_content = _forms_of_calls(template, asked, given)
    calls = text_arguments is not None
    said = None if null_content else ""

    def turn(*names: str, content: str | None = said) -> Rendered:
        made = [_call(name, i, text=bool(text_arguments)) for i, name in enumerate(names)]
        return {"role": "assistant", "content": content, "tool_calls": made}

    made = turn(_TOOL) if calls else {"role": "assistant", "content": _SAID}
    said_and_called = turn(_TOOL, content=_SAID)
    shown_call = f"{_TOOL}{_VALUE}"
    thought = {"reasoning_content": _THOUGHT, "thinking": _THOUGHT}
    return Capabilities(
        tools=tools,
        calls=calls,
        results=_shows(template, [asked, made, _RESULT_OF_CALL], _RESULT, given),
        several_calls=calls and _shows(template, [asked, turn(_TOOL, _OTHER)], f"{_OTHER}{_VALUE}", given),
        text_arguments=bool(text_arguments),
        null_content=null_content,
        content_beside_calls=calls and _shows(template, [asked, said_and_called], shown_call, given),
        content_beside_both=calls and _shows(template, [asked, {**said_and_called, **thought}], shown_call, given),
        system=_shows(template, [system, asked], _SYSTEM, none),
        parts=parts,
        no_tools_is_a_list=no_tools_is_a_list,
    )


def _forms_of_calls(template: ChatTemplate, asked: Rendered, tools: list[Rendered] | None) -> tuple[bool | None, bool]:
    """Whether arguments have to be text, None if calls are not shown at all; whether content has to be null."""
    for text in (False, True):
        for content in ("", None):
            made = {"role": "assistant", "content": content, "tool_calls": [_call(_TOOL, 0, text=text)]}
            # some leave out calls that nothing follows, some refuse what a tool gave
            shown = _rendered(template, [asked, made, _RESULT_OF_CALL], tools) or _rendered(
                template, [asked, made], tools
            )
            # a template that writes an object as Python does wants text; one that escapes text wants an object
            is_odd = f"'{_ARGUMENT}': '{_TOOL}{_VALUE}'" in shown or f'\\"{_TOOL}{_VALUE}' in shown
            if f"{_TOOL}{_VALUE}" in shown and not is_odd:
                return text, content is None
    return None, False


def _call(name: str, index: int, *, text: bool) -> dict[str, Any]:
    arguments: Any = {_ARGUMENT: f"{name}{_VALUE}"}
    if text:
        arguments = f'{{"{_ARGUMENT}": "{name}{_VALUE}"}}'
    call_id = (_ID, _OTHER_ID)[index]
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _in_parts(message: Rendered) -> Rendered:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _shows(template: ChatTemplate, messages: list[Rendered], word: str, tools: list[Rendered] | None = None) -> bool:
    return word in _rendered(template, messages, tools)


def _rendered(template: ChatTemplate, messages: list[Rendered], tools: list[Rendered] | None) -> str:
    try:
        return template.render(messages, tools)
    except TemplateFailed:
        return ""
