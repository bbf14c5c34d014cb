"""What a chat template can do, found out by trying it with small conversations.

Templates differ in what they show of a conversation, and refuse or silently leave out the rest. So each part is put
into a conversation as a word of its own, and looked for in what comes out: there, once, and in its order. Knows
templates; refuses to know families.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from runtime.chat.errors import TemplateFailed
from runtime.chat.template import ChatTemplate, Rendered

_USER, _THOUGHT, _RESULT, _ROLE = "quserq", "qthoughtq", "qresultq", "qroleq"
_TOOL, _OTHER, _ARGUMENT, _VALUE = "qtoolq", "qotherq", "qargumentq", "qvalueq"
_ID, _OTHER_ID = "qidqidqid", "qidqidqie"
"""Nine letters: Mistral's templates want just that."""

_WORD = re.compile("qword[a-z]q")
_QUOTED = re.compile(r"""(['"])([a-z_]+)\1""")

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
    """What a template shows, and in which form and order it wants it.

    `tools`, `calls` and `results`: descriptions of tools, calls in earlier turns, and what they gave. `several_calls`
    in one turn. `text_arguments`: arguments are JSON in a string rather than an object. `null_content`: null rather
    than "" beside calls. `content_beside_calls` and `content_beside_both`, calls and reasoning, is shown before them.
    `unanswered_calls`: those that no result follows; `results_alone`: those that no call came before. `system`: that
    role, at the front; `several_systems` there, `system_later` behind other turns, `system_alone` without any;
    `system_stays` where the last turn is not the user's (Mistral shows it beside the user's last).
    `in_a_row`: several turns of one side, or what either says around calls. `answer_first`: a conversation that the
    user did not begin. `empty_answers`: those without content. `any_role`: names of roles that it does not know;
    `named` are the words that it may know as such. `parts`: content is a list of parts. `no_tools_is_a_list`: an empty
    one rather than none.
    """

    tools: bool = False
    calls: bool = False
    results: bool = False
    several_calls: bool = False
    text_arguments: bool = False
    null_content: bool = False
    content_beside_calls: bool = False
    content_beside_both: bool = False
    unanswered_calls: bool = False
    results_alone: bool = False
    system: bool = False
    several_systems: bool = False
    system_later: bool = False
    system_alone: bool = False
    system_stays: bool = False
    in_a_row: bool = False
    answer_first: bool = False
    empty_answers: bool = False
    any_role: bool = False
    named: frozenset[str] = frozenset()
    parts: bool = False
    no_tools_is_a_list: bool = False


def capabilities_of(template: ChatTemplate) -> Capabilities:
    """What `template` can do. Nothing of it raises; a template that fails at everything can do nothing."""
    parts = not _shows(template, [_ASKED], _USER) and _shows(template, [_in_parts(_ASKED)], _USER)
    asked = _in_parts(_ASKED) if parts else _ASKED
    no_tools_is_a_list = not _shows(template, [asked], _USER) and _shows(template, [asked], _USER, [])
    none: list[Rendered] | None = [] if no_tools_is_a_list else None
    tools = all(_shows(template, [asked], word, _DESCRIBED) for word in (_TOOL, _ARGUMENT))
    given = _DESCRIBED if tools else none
    text_arguments, null_content = _forms_of_calls(template, asked, given)
    calls = text_arguments is not None
    trial = _Trial(template, given, parts=parts, text_arguments=bool(text_arguments), null_content=null_content)
    takes = trial.takes
    system = takes("system user")
    return Capabilities(
        tools=tools,
        calls=calls,
        results=takes("user call result" if calls else "user assistant result"),
        several_calls=calls and takes("user calls result result assistant user"),
        text_arguments=bool(text_arguments),
        null_content=null_content,
        content_beside_calls=calls and takes("user saying-call result", "user saying-call result assistant user"),
        content_beside_both=calls
        and takes("user thinking-saying-call result", "user thinking-saying-call result assistant user"),
        unanswered_calls=calls and takes("user call", "user call user", "user call assistant user"),
        results_alone=takes("user result result assistant", "result assistant", "user assistant result assistant user")
        and (not calls or takes("user call result result assistant")),
        system=system,
        several_systems=system and takes("system system user"),
        system_later=system and takes("user system", "user assistant system user", "system user assistant user system"),
        system_alone=system and takes("system"),
        system_stays=system and takes("system user assistant") and (not calls or takes("system user call result")),
        in_a_row=takes("user user assistant user", "user assistant assistant user")
        and (not calls or takes("user assistant call result assistant user", "user call result user assistant user")),
        answer_first=takes("assistant", "assistant user")
        and (not system or takes("system assistant"))
        and (not calls or takes("call result assistant user"))
        and (not (calls and system) or takes("system call result assistant user")),
        empty_answers=takes("user empty user assistant user"),
        any_role=takes(f"user assistant {_ROLE} assistant user"),
        named=frozenset(word for _quote, word in _QUOTED.findall(template.source)),
        parts=parts,
        no_tools_is_a_list=no_tools_is_a_list,
    )


class _Trial:
    """Conversations of turns that are called by their roles, with a word of its own in each."""

    def __init__(
        self,
        template: ChatTemplate,
        tools: list[Rendered] | None,
        *,
        parts: bool,
        text_arguments: bool,
        null_content: bool,
    ) -> None:
        self._template = template
        self._tools = tools
        self._parts = parts
        self._text_arguments = text_arguments
        self._null_content = null_content

    def takes(self, *conversations: str) -> bool:
        """Whether all words of each are shown, once and in their order."""
        return all(self._shows_words(conversation.split()) for conversation in conversations)

    def _shows_words(self, kinds: Sequence[str]) -> bool:
        words: list[str] = []
        turns = [self._turn(kind, words, [one for one in kinds[:i] if one == "result"]) for i, kind in enumerate(kinds)]
        return _WORD.findall(_rendered(self._template, turns, self._tools)) == words

    def _turn(self, kind: str, words: list[str], results: Sequence[str]) -> Rendered:
        """The turn, whose words are added to `words`; `results` came before it."""

        def word() -> str:
            words.append(f"qword{chr(ord('a') + len(words))}q")
            return words[-1]

        if kind == "empty":
            return self._said("assistant", "")
        if "call" in kind:
            content: str | None = word() if "saying" in kind else None if self._null_content else ""
            names = (_TOOL, _OTHER) if kind == "calls" else (_TOOL,)
            made = [_call(name, word(), i, text=self._text_arguments) for i, name in enumerate(names)]
            thought = {"reasoning_content": _THOUGHT, "thinking": _THOUGHT} if "thinking" in kind else {}
            return {**self._said("assistant", content), **thought, "tool_calls": made}
        if kind == "result":
            which = 1 if results else 0
            of = {"name": (_TOOL, _OTHER)[which], "tool_call_id": (_ID, _OTHER_ID)[which]}
            return {**self._said("tool", word()), **of}
        return self._said(kind, word())

    def _said(self, role: str, content: str | None) -> dict[str, Any]:
        parts = self._parts and content is not None
        return {"role": role, "content": [{"type": "text", "text": content}] if parts else content}


def _forms_of_calls(template: ChatTemplate, asked: Rendered, tools: list[Rendered] | None) -> tuple[bool | None, bool]:
    """Whether arguments have to be text, None if calls are not shown at all; whether content has to be null."""
    for text in (False, True):
        for content in ("", None):
            made = {"role": "assistant", "content": content, "tool_calls": [_call(_TOOL, _VALUE, 0, text=text)]}
            # some leave out calls that nothing follows, some refuse what a tool gave
            shown = _rendered(template, [asked, made, _RESULT_OF_CALL], tools) or _rendered(
                template, [asked, made], tools
            )
            # a template that writes an object as Python does wants text; one that escapes text wants an object
            is_odd = f"'{_ARGUMENT}': '{_VALUE}'" in shown or f'\\"{_VALUE}' in shown
            if _VALUE in shown and not is_odd:
                return text, content is None
    return None, False


def _call(name: str, value: str, index: int, *, text: bool) -> dict[str, Any]:
    arguments: Any = {_ARGUMENT: value}
    if text:
        arguments = f'{{"{_ARGUMENT}": "{value}"}}'
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
