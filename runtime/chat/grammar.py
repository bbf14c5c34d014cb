"""What an answer may be, as a grammar: tool calls in the family's format, a form for the content, reasoning before it.

Made from the same entry as the parser. Where the model may say what it likes until it calls a tool, the grammar waits
for a trigger, and begins with it. Where it has no choice, the grammar holds from the first token on, and lets it
reason first. Knows formats and GBNF's rules; refuses to know templates and tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from runtime.chat.call_rules import CallRules, ToolUnsupported, without
from runtime.chat.formats.format import Format, Span, core
from runtime.chat.messages import Tool
from runtime.engine.types import Triggers
from runtime.grammar.errors import SchemaUnsupported
from runtime.grammar.gbnf import Ref, Rules, Sequence, Text
from runtime.grammar.json_schema import schema_rule
from runtime.grammar.work import Work

_GBNF = re.compile(
    r"""("(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\#[^\n]*|<[^>\n]*>)|([a-zA-Z0-9-]+)|(\{[^}\n]*\})""", re.DOTALL
)
"""Texts, classes, comments and tokens of a grammar; names of rules; counts."""


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

    A tool whose schema cannot be followed, or contradicts itself, is held to any JSON object.
    """
    is_plain = wanted.reasoning is None and not wanted.format.channels
    if not wanted.tools and wanted.schema is None and (is_plain or not wanted.grammar):
        return Constraint(wanted.grammar)
    open_tools: frozenset[str] = frozenset()
    while True:
        builder = _Builder(wanted, open_tools)
        try:
            return builder.build()
        except ToolUnsupported as error:
            open_tools |= error.tools


class _Builder:
    """The rules of one answer."""

    def __init__(self, wanted: Wanted, open_tools: frozenset[str]) -> None:
        self._wanted = wanted
        self._work = Work()
        self._rules = Rules(self._work)
        self._root = self._rules.reserve("root")
        self._client_rules = ""
        self._calls = CallRules(
            self._rules, self._work, wanted.format.calls, wanted.tools, open_tools, several=wanted.parallel
        )

    def build(self) -> Constraint:
        """The whole."""
        wanted = self._wanted
        content = self._content()
        if wanted.must_call or content is not None:
            bodies = [content] if content is not None and not wanted.must_call else []
            if wanted.tools:
                bodies.append(self._calls.calls(wanted.opening))
            return self._written(self._after_reasoning(bodies))
        if wanted.format.calls.bare:
            return self._written(self._after_reasoning([self._calls.calls(""), self._calls.no_bare_call()]))
        starts = self._calls.starts(wanted.opening)
        if "" in starts:
            begin = without(wanted.format.content[0], wanted.opening)
            said = (Text(begin), *self._calls.until(self._calls.starts(""), (Ref(self._later()),)))
            return self._written([self._calls.calls(wanted.opening), said])
        return self._lazy(starts)

    def _lazy(self, starts: list[str]) -> Constraint:
        """Calls as the model likes, with anything before them."""
        wanted = self._wanted
        calls = self._calls.calls(wanted.opening)
        span = wanted.reasoning
        if span is None or wanted.format.channels:
            return self._written([calls], starts)
        # what looks like a call in the reasoning is none
        end: Sequence = (Text(core(span.end)), *self._calls.until(starts, (Ref(self._later()),)))
        if wanted.begun:
            return self._written([end], [core(span.end)])
        ended = self._rules.rule("end", (), end)
        reasoned = (Text(core(span.begin)), *self._calls.until([core(span.end)], (Ref(ended),)))
        return self._written([reasoned, calls], [core(span.begin), *starts])

    def _later(self) -> str:
        """Calls behind something else, or nothing."""
        return self._rules.rule("later", (), self._calls.calls(""))

    def _written(self, alternatives: list[Sequence], words: Iterable[str] = ()) -> Constraint:
        self._rules.define(self._root, alternatives)
        self._calls.check()
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
        between: Sequence = (Text(wanted.opening),) if wanted.format.channels else (self._calls.line, self._calls.line)
        reasoned = self._calls.until([core(span.end)], (Text(core(span.end)), *between, body))
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
        begin = without(wanted.format.content[0], wanted.opening) if wanted.format.channels else ""
        return (Text(begin), inner)


_CLIENT_ROOT = "client-root"


def _renamed(grammar: str) -> str:
    """A client's grammar, with other names for its rules, so that none is ours."""
    return "\n" + _GBNF.sub(lambda match: f"client-{match[2]}" if match[2] else match[0], grammar) + "\n"
