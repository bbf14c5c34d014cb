"""A conversation into the tokens of a prompt, and what is needed to read the answer to it.

Imported when the first conversation comes: Jinja2 takes longer to import than a server may take to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from runtime.chat.answer import AnswerParser
from runtime.chat.capabilities import capabilities_of
from runtime.chat.conversation import Conversation
from runtime.chat.errors import AnswerFormConflict, TemplateFailed, ToolsUnsupported
from runtime.chat.fallback import fallback_of
from runtime.chat.formats.families import GENERIC, family_of, reasoning_of
from runtime.chat.formats.format import Format, Span, TaggedArguments, core, first_text
from runtime.chat.grammar import Constraint, Wanted, constraint_of
from runtime.chat.history import as_template_takes_it
from runtime.chat.media import shown, taken_in, tokens_with_media
from runtime.chat.messages import Message, Tool
from runtime.chat.order import SYSTEM_ROLES
from runtime.chat.parsing.expected import Expected
from runtime.chat.parsing.parser import FormatParser
from runtime.chat.template import ChatTemplate
from runtime.chat.writing import as_openai_has_it, instructions
from runtime.engine.backend import Projector
from runtime.engine.facts import ModelFacts
from runtime.engine.pieces import PlacedPiece, Seen
from runtime.engine.thoughts import ThoughtLimit
from runtime.engine.types import Triggers
from runtime.settings import NOTHING_FETCHED, MediaSources

_CONTINUED = "qcontinuedq"
"""Stands in the template where the answer that is to be continued ends."""

_REMEMBERED = 32
"""Grammars that are kept: a client sends the same tools with each turn."""


class Tokenizer(Protocol):
    """What is needed of a model: its facts and its vocabulary."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


class Prepared(msgspec.Struct, frozen=True):
    """A prompt, and what the engine needs besides it.

    `grammar`, `triggers` and `thoughts` belong into `Sampling`, `shown` into `GenerationRequest`: special tokens whose
    text the parser has to see. `stop`, which goes there too, are texts with which an answer to this prompt has ended;
    and so do `turns`, tokens before what the user said last, and the `pieces` that pictures and sounds have become.
    `expected` is what the parser knows beforehand.
    """

    text: str
    tokens: tuple[int, ...]
    grammar: str
    triggers: Triggers | None
    shown: frozenset[int]
    stop: tuple[str, ...]
    turns: tuple[int, ...]
    expected: Expected
    pieces: tuple[PlacedPiece, ...] = ()
    thoughts: ThoughtLimit | None = None

    def parser(self) -> AnswerParser:
        """A new one, for one answer to this prompt."""
        return FormatParser(self.expected)


class PromptBuilder:
    """Renders conversations for one model. `template` replaces the model's own. Raises `TemplateFailed`.

    With `projector` it sees or hears, from `sources` too. `thinks` and `takes_tools` say what the template knows.
    """

    def __init__(
        self,
        model: Tokenizer,
        system: str | None,
        template: str | None = None,
        projector: Projector | None = None,
        sources: MediaSources = NOTHING_FETCHED,
    ) -> None:
        self._sources = sources
        self._projector = projector
        facts = model.facts
        self._model = model
        self._system = system
        self._fallback = fallback_of(facts, template)
        own = template or facts.chat_template or ""
        self.template = self._fallback.template if self._fallback is not None else own
        self._template = ChatTemplate(self.template, facts.bos, facts.eos)
        self._can = capabilities_of(self._template)
        self.takes_tools = self._can.tools
        self._format = family_of(self.template) or GENERIC
        if self._format is GENERIC:  # the template's own way of writing calls is not the one that the model is told
            self._can = msgspec.structs.replace(self._can, tools=False, calls=False)
        self._reasoning = self._format.reasoning or reasoning_of(self.template)
        self._shown: dict[bool, frozenset[int]] = {}
        self._constraints: dict[bytes, Constraint] = {}
        self.thinks = self._reasoning is not None

    def prepare(self, conversation: Conversation) -> Prepared:
        """The prompt; a conversation that brings no system prompt begins with the default one, if there is any.

        Raises `TemplateFailed`, `ToolsUnsupported`, `AnswerFormConflict` and `SchemaUnsupported`; of pictures and
        sounds as `look_at` does.
        """
        seen: dict[str, Seen] = {}
        if conversation.media:
            taken = taken_in(conversation, self._projector, self._sources)
            conversation, seen = taken.conversation, taken.seen
        tools = _offered(conversation)
        text = self._render(conversation, tools)
        begun = self._begins_reasoning(text, conversation)
        thinks = _thinks(conversation)
        if begun and thinks is False:
            assert self._reasoning is not None
            text, begun = f"{text.rstrip()}\n\n{self._reasoning.end}\n\n", False
        opening = self._format.opening if text.endswith(self._format.opening) else ""
        constraint = self._constraint(conversation, tools, begun=begun, opening=opening)
        expected = Expected(
            format=self._format,
            tools=tools,
            reasoning=self._reasoning,
            begun=begun,
            opening=opening,
            splits_reasoning=conversation.splits_reasoning,
            calls_before=sum(len(message.tool_calls) for message in conversation.messages),
            is_spaced=self._fallback is not None and self._fallback.is_spaced and not conversation.continues_last,
        )
        tokens, pieces = tokens_with_media(text, seen, self._model, add_special=True)
        return Prepared(
            text=shown(text) if seen else text,
            tokens=tokens,
            grammar=constraint.grammar,
            triggers=constraint.triggers,
            shown=self._shown_tokens(has_tools=bool(tools)),
            stop=self._fallback.stop if self._fallback is not None else (),
            turns=self._turns(text, len(tokens), conversation.messages, seen),
            expected=expected,
            pieces=pieces,
            thoughts=self._thought_limit(conversation, begun=begun),
        )

    def _thought_limit(self, conversation: Conversation, *, begun: bool) -> ThoughtLimit | None:
        span = self._reasoning
        if span is None or conversation.thought_tokens is None:
            return None
        closing = f"{conversation.thought_message or ''}{span.end}"
        return ThoughtLimit(
            conversation.thought_tokens,
            core(span.begin),
            core(span.end),
            self._model.tokenize(closing, add_special=False, parse_special=True),
            begun,
        )

    def _render(self, conversation: Conversation, tools: tuple[Tool, ...]) -> str:
        messages: Sequence[Message] = conversation.messages
        if self._system and not any(message.role in SYSTEM_ROLES for message in messages):
            messages = [Message("system", self._system), *messages]
        given: list[dict[str, Any]] | None = [] if self._can.no_tools_is_a_list else None
        if tools and not self._can.tools:
            messages = _told(messages, instructions(tools, self._format.calls))
        elif tools:
            given = [as_openai_has_it(tool) for tool in tools]
        values = self._values(conversation)

        def rendered(messages: Sequence[Message], *, opens_answer: bool) -> str:
            turns = as_template_takes_it(messages, self._can, self._format)
            return self._template.render(turns, given, values, opens_answer=opens_answer)

        if conversation.continues_last and messages and messages[-1].role == "assistant":
            texts = (rendered([*messages[:-1], last], opens_answer=False) for last in _continued(messages[-1]))
            marked = next((text for text in texts if _CONTINUED in text), None)
            if marked is None:
                raise TemplateFailed("it leaves out the answer that is to be continued")
            text = marked.rpartition(_CONTINUED)[0]
        else:
            text = rendered(messages, opens_answer=conversation.opens_answer)
        facts = self._model.facts
        # the tokenizer adds it, a template may have, once is right
        return text.removeprefix(facts.bos) if facts.adds_bos else text

    def _turns(self, text: str, n_tokens: int, messages: Sequence[Message], seen: dict[str, Seen]) -> tuple[int, ...]:
        """How many tokens come before what the user said last, for memories that must be told where to go back to."""
        facts = self._model.facts
        said = next((message.content.strip() for message in reversed(messages) if message.role == "user"), "")
        place = text.rfind(said) if said and (facts.keeps_state or facts.window) else -1
        if place < 0:
            return ()
        # Counted from the end, which is short. Where the tokenizer would cut elsewhere, it is a token off.
        rest, _pieces = tokens_with_media(text[place:], seen, self._model, add_special=False)
        return (n_tokens - len(rest),)

    def _values(self, conversation: Conversation) -> dict[str, Any]:
        """What templates ask for by name."""
        values: dict[str, Any] = {}
        if conversation.thinks is not None:
            values |= {"enable_thinking": conversation.thinks, "thinking": conversation.thinks}
            values |= {} if conversation.thinks else dict(self._format.off)
        if conversation.effort is not None:
            values["reasoning_effort"] = conversation.effort
        return values | conversation.template_values

    def _begins_reasoning(self, text: str, conversation: Conversation) -> bool:
        """Whether the prompt ends within reasoning."""
        span = self._reasoning
        if span is None:
            return False
        begin, end = core(span.begin), core(span.end)
        place = text.rfind(begin)
        if place < 0 or place < text.rfind(end):
            return False
        return conversation.continues_last or not text[place + len(begin) :].strip()

    def _constraint(
        self, conversation: Conversation, tools: tuple[Tool, ...], *, begun: bool, opening: str
    ) -> Constraint:
        choice = conversation.tool_choice
        must_call = choice.name is not None or choice.mode == "required"
        if choice.name is not None:
            tools = tuple(tool for tool in tools if tool.name == choice.name)
        may_reason = begun or (_thinks(conversation) is not False and not conversation.continues_last)
        wanted = Wanted(
            format=self._format,
            tools=tools,
            must_call=must_call,
            parallel=conversation.parallel_calls,
            schema=None if must_call else conversation.schema,
            grammar="" if must_call else conversation.grammar,
            reasoning=self._reasoning if may_reason else None,
            begun=begun,
            opening=opening,
        )
        key = msgspec.json.encode(wanted)
        constraint = self._constraints.get(key)
        if constraint is None:
            constraint = constraint_of(wanted)
            while len(self._constraints) >= _REMEMBERED:
                self._constraints.pop(next(iter(self._constraints)), None)
            self._constraints[key] = constraint
        return constraint

    def _shown_tokens(self, *, has_tools: bool) -> frozenset[int]:
        """The tokens of all that the parser looks for."""
        if has_tools not in self._shown:
            texts = _texts_of(self._format, self._reasoning, has_tools=has_tools)
            tokens = (self._model.tokenize(text, add_special=False, parse_special=True) for text in texts)
            self._shown[has_tools] = frozenset(token for several in tokens for token in several)
        return self._shown[has_tools]


def _offered(conversation: Conversation) -> tuple[Tool, ...]:
    """The tools that the model may call. Raises `ToolsUnsupported` and `AnswerFormConflict`."""
    choice = conversation.tool_choice
    if conversation.schema is not None and conversation.grammar:
        raise AnswerFormConflict("a schema", "a grammar")
    if choice.name is not None:
        if not any(tool.name == choice.name for tool in conversation.tools):
            raise ToolsUnsupported(f"{choice.name!r} is to be called, and is not among them")
        return conversation.tools
    if choice.mode == "required" and not conversation.tools:
        raise ToolsUnsupported("one is to be called, and there are none", "Send tools, or another tool_choice.")
    return () if choice.mode == "none" else conversation.tools


def _thinks(conversation: Conversation) -> bool | None:
    if conversation.thinks is not None:
        return conversation.thinks
    value = conversation.template_values.get("enable_thinking")
    return value if isinstance(value, bool) else None


def _continued(last: Message) -> Iterator[Message]:
    """`last` with a mark where it is gone on from: thoughts that nothing was said after, if the template shows them."""
    if last.reasoning and not last.content:
        yield msgspec.structs.replace(last, reasoning=last.reasoning + _CONTINUED)
    yield msgspec.structs.replace(last, content=last.content + _CONTINUED)


def _told(messages: Sequence[Message], text: str) -> list[Message]:
    """`messages` with `text` at the end of what the system says first."""
    if messages and messages[0].role in SYSTEM_ROLES:
        first = msgspec.structs.replace(messages[0], content=f"{messages[0].content}\n\n{text}")
        return [first, *messages[1:]]
    return [Message("system", text), *messages]


def _texts_of(format: Format, reasoning: Span | None, *, has_tools: bool) -> list[str]:
    texts = [*format.content, *format.noise]
    if reasoning is not None:
        texts += [reasoning.begin, reasoning.end]
    if has_tools:
        if format.calls.section is not None:
            texts += [format.calls.section.begin, format.calls.section.end]
        for form in format.calls.forms:
            texts.append(first_text(form))
            for part in form:
                if isinstance(part, str):
                    texts.append(core(part))
                elif isinstance(part, TaggedArguments):
                    texts += [core(part.begin), *part.middle.split(), core(part.end)]
    return [text for text in texts if text]
