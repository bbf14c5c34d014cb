"""What an answer may be, as a grammar: tool calls in the family's format, a form for the content, reasoning before it.

Made from the same entry as the parser. Where the model may say what it likes until it calls a tool, the grammar waits
for a trigger, and begins with it. Where it has no choice, the grammar holds from the first token on, and lets it
reason first. Knows formats and GBNF's rules; refuses to know templates and tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import msgspec

from runtime.chat.formats.format import (
    Arguments,
    Calls,
    Filler,
    Form,
    Format,
    JsonCall,
    Name,
    Number,
    Part,
    ShortId,
    Span,
    TaggedArguments,
    core,
    first_text,
)
from runtime.chat.messages import Tool
from runtime.chat.parsing.arguments import argument_schema, is_text
from runtime.engine.types import Triggers
from runtime.grammar import charset
from runtime.grammar.automaton import rule_of
from runtime.grammar.derivatives import Derivatives
from runtime.grammar.document import below
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.expressions import Expressions
from runtime.grammar.gbnf import Chars, Ref, Repeat, Rules, Sequence, Text
from runtime.grammar.json_schema import schema_rule
from runtime.grammar.work import Work

_GBNF = re.compile(
    r"""("(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\#[^\n]*|<[^>\n]*>)|([a-zA-Z0-9-]+)|(\{[^}\n]*\})""", re.DOTALL
)
"""Texts, classes, comments and tokens of a grammar; names of rules; counts."""

_SHORT, _ID_LENGTH, _MOST_DIGITS = 9, 24, 4
_SPACE = charset.of(" \t\n\r")


class Wanted(msgspec.Struct, frozen=True):
    """What the answer is to be. `tools` () means no calls, `must_call` that there has to be one.

    `schema` (None for none) and `grammar` ("" for none) are the content's. `reasoning` is what may stand around
    reasoning before all that, None if there is to be none; `begun` says that its beginning is in the prompt, `opening`
    what else of the answer is.
    """

    format: Format
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    parallel: bool = True
    schema: object = None
    grammar: str = ""
    reasoning: Span | None = None
    begun: bool = False
    opening: str = ""


class Constraint(msgspec.Struct, frozen=True):
    """GBNF, "" for none, and what makes it begin: None for the beginning of the answer."""

    grammar: str = ""
    triggers: Triggers | None = None


def constraint_of(wanted: Wanted) -> Constraint:
    """What holds the model to `wanted`. Raises `SchemaUnsupported` for the content's schema.

    A tool whose schema cannot be followed is held to any JSON object.
    """
    if not wanted.tools and wanted.schema is None and (not wanted.grammar or wanted.reasoning is None):
        return Constraint(wanted.grammar)
    open_tools: frozenset[str] = frozenset()
    while True:
        builder = _Builder(wanted, open_tools)
        try:
            return builder.build()
        except _ToolUnsupported as error:
            open_tools |= error.tools


class _ToolUnsupported(Exception):
    """The schemas of `tools` cannot be followed, or not all of them in one grammar."""

    def __init__(self, tools: Iterable[str]) -> None:
        super().__init__()
        self.tools = frozenset(tools)


class _Builder:
    """The rules of one answer."""

    def __init__(self, wanted: Wanted, open_tools: frozenset[str]) -> None:
        self._wanted = wanted
        self._open_tools = open_tools
        self._work = Work()
        self._rules = Rules(self._work)
        self._root = self._rules.reserve("root")
        self._expressions = Expressions(self._work)
        self._derivatives = Derivatives(self._expressions, self._work)
        self._client_rules = ""
        # made first: later there may be nothing left to spend
        self._any_object = Ref(schema_rule({"type": "object"}, self._rules, self._work, "object"))
        self._line = Ref(self._rules.rule("line", (), (Text("\n"),), (Text(" "),)))

    def build(self) -> Constraint:
        """The whole."""
        wanted = self._wanted
        content = self._content()
        if wanted.must_call or content is not None:
            bodies = [content] if content is not None and not wanted.must_call else []
            if wanted.tools:
                bodies.append(self._calls(wanted.opening))
            return self._written(self._after_reasoning(bodies))
        if wanted.format.calls.bare:
            return self._written(self._after_reasoning([self._calls(""), self._no_bare_call()]))
        starts = self._starts(wanted.opening)
        if "" in starts:
            begin = _without(wanted.format.content[0], wanted.opening)
            said = (Text(begin), *self._until(self._starts(""), (Ref(self._later()),)))
            return self._written([self._calls(wanted.opening), said])
        return self._lazy(starts)

    def _lazy(self, starts: list[str]) -> Constraint:
        """Calls as the model likes, with anything before them."""
        wanted = self._wanted
        calls = self._calls(wanted.opening)
        span = wanted.reasoning
        if span is None or wanted.format.channels:
            return self._written([calls], starts)
        # what looks like a call in the reasoning is none
        end: Sequence = (Text(core(span.end)), *self._until(starts, (Ref(self._later()),)))
        if wanted.begun:
            return self._written([end], [core(span.end)])
        ended = self._rules.rule("end", (), end)
        reasoned = (Text(core(span.begin)), *self._until([core(span.end)], (Ref(ended),)))
        return self._written([reasoned, calls], [core(span.begin), *starts])

    def _later(self) -> str:
        """Calls behind something else, or nothing."""
        return self._rules.rule("later", (), self._calls(""))

    def _starts(self, opening: str) -> list[str]:
        """The texts that calls begin with, behind `opening`."""
        calls = self._wanted.format.calls
        if calls.section is not None:
            return [core(calls.section.begin)]
        return list(dict.fromkeys(_without(first_text(form), opening) for form in calls.forms if first_text(form)))

    def _written(self, alternatives: list[Sequence], words: Iterable[str] = ()) -> Constraint:
        self._rules.define(self._root, alternatives)
        grammar = self._rules.write(self._root)
        if not grammar:
            raise SchemaUnsupported("", "no value fits it", "Look for parts that contradict each other.")
        words = tuple(words)
        return Constraint(grammar + self._client_rules, Triggers(words) if words else None)

    def _after_reasoning(self, bodies: list[Sequence]) -> list[Sequence]:
        """`bodies`, with reasoning before them: as the prompt began it, or as the model likes."""
        wanted, span = self._wanted, self._wanted.reasoning
        if span is None:
            return bodies
        body = Ref(self._rules.rule("body", *bodies))
        # with channels, the next one begins as the prompt ended
        between: Sequence = (Text(wanted.opening),) if wanted.format.channels else (self._line, self._line)
        reasoned = self._until([core(span.end)], (Text(core(span.end)), *between, body))
        return [reasoned] if wanted.begun else [(Text(core(span.begin)), *reasoned), (body,)]

    def _content(self) -> Sequence | None:
        wanted = self._wanted
        if wanted.schema is None and not wanted.grammar:
            return None
        if wanted.schema is not None:
            inner = Ref(schema_rule(wanted.schema, self._rules, self._work, "answer"))
        else:
            self._client_rules = _renamed(wanted.grammar)
            self._rules.write_elsewhere(_CLIENT_ROOT)
            inner = Ref(_CLIENT_ROOT)
        begin = _without(wanted.format.content[0], wanted.opening) if wanted.format.channels else ""
        return (Text(begin), inner)

    def _calls(self, opening: str) -> Sequence:
        """One or several calls, whole."""
        wanted, calls = self._wanted, self._wanted.format.calls
        several = wanted.parallel and calls.parallel
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
        return [self._call(form, tool, opening) for form in calls.forms for tool in self._wanted.tools]

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
        low, high = (_SHORT, _SHORT) if self._wanted.format.calls.ids == "short" else (1, _ID_LENGTH)
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
            return self._until([core(tags.end)], end)
        if not isinstance(schema, dict) or "string" in _types(schema):
            return self._until([core(tags.end)], end)
        return (self._schema(tool, tool.parameters, below("/properties", name)), *end)

    def _any_tagged(self, tags: TaggedArguments) -> Sequence:
        """Any arguments, whatever their names."""
        stop = tags.middle.split()[0]
        name = self._until([stop, "\n"], self._text(tags.middle))
        value = self._until([core(tags.end)], self._text(tags.end))
        one = self._rules.rule("argument", (*self._text(tags.begin), *name, *value))
        return (Repeat(one, 0, None),)

    def _middle(self, tags: TaggedArguments) -> Sequence:
        """What stands between a name and its value: a line break in it may be left out."""
        first, *others = tags.middle.split()
        middle: Sequence = (Text(first),)
        for text in others:
            middle = (*middle, self._line, Text(text))
        return (*middle, self._line) if tags.middle[-1].isspace() else middle

    def _arguments(self, tool: Tool) -> Ref:
        if tool.name in self._open_tools or not tool.parameters:
            return self._any_object
        return self._schema(tool, {**tool.parameters, "type": "object"})

    def _schema(self, tool: Tool, schema: object, place: str = "") -> Ref:
        try:
            return Ref(schema_rule(schema, self._rules, self._work, tool.name, place))
        except SchemaUnsupported as error:
            is_spent = self._work.is_spent
            raise _ToolUnsupported([one.name for one in self._wanted.tools] if is_spent else [tool.name]) from error

    def _no_bare_call(self) -> Sequence:
        """Content that does not begin as a call would."""
        e = self._expressions
        space = e.repeat(e.chars(_SPACE), 0, None)
        begins = [e.text(first_text(form)) for form in self._wanted.format.calls.forms if first_text(form)]
        keys = {part.name for form in self._wanted.format.calls.forms for part in form if isinstance(part, JsonCall)}
        begins += [e.concat(e.text("{"), space, e.text(_json(key))) for key in keys]
        other = e.negate(e.concat(space, e.either(*begins), e.anything))
        return (Ref(rule_of(self._derivatives.automaton(other), self._rules, "content", _one_of)),)

    def _until(self, words: Iterable[str], then: Sequence) -> Sequence:
        """Text without any of `words`, and then something."""
        e = self._expressions
        without = e.negate(e.concat(e.anything, e.texts(words), e.anything))
        return (Ref(rule_of(self._derivatives.automaton(without), self._rules, "text", _one_of, then)),)

    def _text(self, text: str) -> Sequence:
        """A text of a format: a line break or a space at its ends may be left out."""
        inner = core(text)
        if not inner:
            return (self._line,) if text else ()
        before = (self._line,) if text[0].isspace() else ()
        after = (self._line,) if text[-1].isspace() else ()
        return (*before, Text(inner), *after)

    def _space(self) -> Sequence:
        return (Ref("ws"),)


_CLIENT_ROOT = "client-root"


def _renamed(grammar: str) -> str:
    """A client's grammar, with other names for its rules, so that none is ours."""
    return "\n" + _GBNF.sub(lambda match: f"client-{match[2]}" if match[2] else match[0], grammar) + "\n"


def _without(text: str, opening: str) -> str:
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
