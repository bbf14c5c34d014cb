"""Tool calls as rules of a grammar, part by part as their family's forms say.

Knows forms and GBNF's rules; refuses to know what else is in an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

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
    core,
    first_text,
)
from runtime.chat.messages import Tool
from runtime.chat.parsing.arguments import argument_schema, is_text
from runtime.grammar import charset
from runtime.grammar.automaton import rule_of
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.document import below
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Chars, Ref, Repeat, Rules, Sequence, Text
from runtime.grammar.json_schema import schema_rule
from runtime.grammar.work import Work

_SHORT, _ID_LENGTH, _MOST_DIGITS = 9, 24, 4
_SPACE = charset.of(" \t\n\r")


class ToolUnsupported(Exception):
    """The schemas of `tools` cannot be followed, contradict themselves, or are too much for one grammar."""

    def __init__(self, tools: Iterable[str]) -> None:
        super().__init__()
        self.tools = frozenset(tools)


class CallRules:
    """Writes the calls of `tools` into `rules`; those named in `open_tools` take any object.

    Methods raise `ToolUnsupported`.
    """

    def __init__(
        self,
        rules: Rules,
        work: Work,
        calls: Calls,
        tools: tuple[Tool, ...],
        open_tools: frozenset[str],
        *,
        several: bool,
    ) -> None:
        self._rules = rules
        self._work = work
        self._forms = calls
        self._tools = tools
        self._open_tools = open_tools
        self._several = several and calls.parallel
        self._used: dict[str, str] = {}
        self._expressions = Expressions(work)
        self._derivatives = Derivatives(self._expressions, work)
        # made first: later there may be nothing left to spend
        self._any_object = Ref(schema_rule({"type": "object"}, rules, work, "object"))
        self.line = Ref(rules.rule("line", (), (Text("\n"),), (Text(" "),)))
        """A line break or a space, or nothing."""

    def check(self) -> None:
        """Raises `ToolUnsupported` for tools whose arguments nothing fits, now that all is written."""
        if self._used and (unfit := self._rules.unfit(self._used)):
            raise ToolUnsupported(self._used[rule] for rule in unfit)

    def starts(self, opening: str) -> list[str]:
        """The texts that calls begin with, behind `opening`."""
        calls = self._forms
        if calls.section is not None:
            return [core(calls.section.begin)]
        return list(dict.fromkeys(without(first_text(form), opening) for form in calls.forms if first_text(form)))

    def calls(self, opening: str) -> Sequence:
        """One or several calls, whole."""
        calls, several = self._forms, self._several
        first = Ref(self._rules.rule("call", *self._ways(calls, opening if calls.section is None else "")))
        if calls.section is None and not several:
            return (first,)
        following = Ref(self._rules.rule("call", *self._ways(calls, "")))
        separator = (*self._space(), Text(","), *self._space()) if calls.listed else self._text(calls.between)
        more: Sequence = ()
        if several:
            more = (Repeat(self._rules.rule("more", (*separator, following)), 0, None),)
        if calls.section is None:
            return (first, *more)
        inside: Sequence = (first, *more)
        if calls.listed:
            inside = (*self._space(), Text("["), *self._space(), *inside, *self._space(), Text("]"))
        return (*self._text(calls.section.begin), *inside, *self._text(calls.section.end))

    def _ways(self, calls: Calls, opening: str) -> list[Sequence]:
        return [self._call(form, tool, opening) for form in calls.forms for tool in self._tools]

    def _call(self, form: Form, tool: Tool, opening: str) -> Sequence:
        sequence: Sequence = ()
        parts = form
        if opening and isinstance(form[0], str) and form[0].startswith(opening):
            rest = form[0][len(opening) :]
            sequence, parts = (Text(rest),) if rest else (), form[1:]
        for part in parts:
            sequence += self._part(part, tool)
        return sequence

    def _part(self, part: Part, tool: Tool) -> Sequence:
        rules = self._rules
        if isinstance(part, str):
            return self._text(part)
        if isinstance(part, Name):
            return (Text(tool.name),)
        if isinstance(part, Number):
            return rules.repeat(rules.rule("digit", (Chars(charset.of(("0", "9"))),)), 1, _MOST_DIGITS)
        if isinstance(part, Arguments):
            return (self._arguments(tool),)
        if isinstance(part, ShortId):
            return rules.repeat(self._id_char(), _SHORT, _SHORT)
        if isinstance(part, Filler):
            return (Ref(rules.rule("filler", *((Text(option),) if option else () for option in part.options))),)
        if isinstance(part, TaggedArguments):
            return self._tagged(part, tool)
        return self._json_call(part, tool)

    def _json_call(self, keys: JsonCall, tool: Tool) -> Sequence:
        members: list[Sequence] = [(Text(f'"{keys.name}":'), *self._space(), Text(_json(tool.name)))]
        members.append((Text(f'"{keys.arguments}":'), *self._space(), self._arguments(tool)))
        if keys.id_before:
            members.insert(0, self._id(keys.id_before))
        if keys.id_after:
            members.append(self._id(keys.id_after))
        written: Sequence = (Text("{"), *self._space())
        for i, member in enumerate(members):
            written = (*written, *((Text(","), *self._space()) if i else ()), *member)
        return (*written, *self._space(), Text("}"))

    def _id(self, key: str) -> Sequence:
        low, high = (_SHORT, _SHORT) if self._forms.ids == "short" else (1, _ID_LENGTH)
        return (
            Text(f'"{key}":'),
            *self._space(),
            Text('"'),
            *self._rules.repeat(self._id_char(), low, high),
            Text('"'),
        )

    def _id_char(self) -> str:
        return self._rules.rule("id-char", (Chars(charset.of(("0", "9"), ("A", "Z"), ("a", "z"))),))

    def _tagged(self, tags: TaggedArguments, tool: Tool) -> Sequence:
        properties = tool.parameters.get("properties")
        if not isinstance(properties, dict) or tool.name in self._open_tools:
            return self._any_tagged(tags)
        required = tool.parameters.get("required")
        required = required if isinstance(required, list) else []
        sequence: Sequence = ()
        for name in properties:
            one: Sequence = (
                *self._text(tags.begin),
                Text(name),
                *self._middle(tags),
                *self._value(tags, tool, name),
            )
            optional = name not in required
            sequence += (Ref(self._rules.rule("argument", (), one)),) if optional else one
        return sequence

    def _value(self, tags: TaggedArguments, tool: Tool, name: str) -> Sequence:
        """The value of an argument, and what ends it."""
        schema = argument_schema(tool, name)
        end = self._text(tags.end)
        if isinstance(schema, dict) and is_text(schema):
            values = schema.get("enum", [schema["const"]] if "const" in schema else [])
            if values:
                return (Ref(self._rules.rule("option", *((Text(value),) if value else () for value in values))), *end)
            return self.until([core(tags.end)], end)
        if not isinstance(schema, dict) or "string" in _types(schema):
            return self.until([core(tags.end)], end)
        return (self._schema(tool, tool.parameters, below("/properties", name)), *end)

    def _any_tagged(self, tags: TaggedArguments) -> Sequence:
        """Any arguments, whatever their names."""
        stop = tags.middle.split()[0]
        name = self.until([stop, "\n"], self._text(tags.middle))
        value = self.until([core(tags.end)], self._text(tags.end))
        one = self._rules.rule("argument", (*self._text(tags.begin), *name, *value))
        return (Repeat(one, 0, None),)

    def _middle(self, tags: TaggedArguments) -> Sequence:
        """What stands between a name and its value: a line break in it may be left out."""
        first, *others = tags.middle.split()
        middle: Sequence = (Text(first),)
        for text in others:
            middle = (*middle, self.line, Text(text))
        return (*middle, self.line) if tags.middle[-1].isspace() else middle

    def _arguments(self, tool: Tool) -> Ref:
        if tool.name in self._open_tools or not tool.parameters:
            return self._any_object
        return self._schema(tool, {**tool.parameters, "type": "object"})

    def _schema(self, tool: Tool, schema: object, place: str = "") -> Ref:
        try:
            rule = schema_rule(schema, self._rules, self._work, tool.name, place)
        except SchemaUnsupported as error:
            is_spent = self._work.is_spent
            raise ToolUnsupported([one.name for one in self._tools] if is_spent else [tool.name]) from error
        self._used[rule] = tool.name
        return Ref(rule)

    def no_bare_call(self) -> Sequence:
        """Content that does not begin as a call would."""
        e = self._expressions
        space = e.repeat(e.chars(_SPACE), 0, None)
        begins = [e.text(first_text(form)) for form in self._forms.forms if first_text(form)]
        keys = {part.name for form in self._forms.forms for part in form if isinstance(part, JsonCall)}
        begins += [e.concat(e.text("{"), space, e.text(_json(key))) for key in keys]
        other = e.negate(e.concat(space, e.either(*begins), e.anything))
        return (Ref(rule_of(self._derivatives.automaton(other), self._rules, "content", _one_of)),)

    def until(self, words: Iterable[str], then: Sequence) -> Sequence:
        """Text without any of `words`, and then something."""
        e = self._expressions
        without = e.negate(e.concat(e.anything, e.texts(words), e.anything))
        return (Ref(rule_of(self._derivatives.automaton(without), self._rules, "text", _one_of, then)),)

    def _text(self, text: str) -> Sequence:
        """A text of a format: a line break or a space at its ends may be left out."""
        inner = core(text)
        if not inner:
            return (self.line,) if text else ()
        before = (self.line,) if text[0].isspace() else ()
        after = (self.line,) if text[-1].isspace() else ()
        return (*before, Text(inner), *after)

    def _space(self) -> Sequence:
        return (Ref("ws"),)


def without(text: str, opening: str) -> str:
    """`text` without what of it is in the prompt."""
    return text[len(opening) :] if opening and text.startswith(opening) else text


def _types(schema: dict[str, object]) -> list[object]:
    """The types that a schema allows, as far as that is said plainly."""
    types = schema.get("type", "string")
    return types if isinstance(types, list) else [types]


def _one_of(ranges: charset.Ranges) -> Sequence:
    only = charset.only_member(ranges)
    return (Text(chr(only)) if only is not None else Chars(ranges),)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
