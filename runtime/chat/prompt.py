"""A conversation into the tokens of a prompt, and what is needed to read the answer to it.

Imported when the first conversation comes: Jinja2 takes longer to import than a server may take to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from runtime.chat.answer import AnswerParser, PlainParser
from runtime.chat.conversation import Conversation
from runtime.chat.messages import Message, Tool
from runtime.chat.template import CHATML, ChatTemplate
from runtime.engine.backend import ModelFacts
from runtime.engine.types import Triggers
from runtime.grammar.json_schema import grammar_of


class Tokenizer(Protocol):
    """What is needed of a model: its facts and its vocabulary."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


class Prepared(msgspec.Struct, frozen=True):
    """A prompt, and what the engine needs besides it.

    `grammar` and `triggers` belong into `Sampling`, `shown` and `stop` into `GenerationRequest`: special tokens whose
    text the parser has to see, and texts that end the answer.
    """

    text: str
    tokens: tuple[int, ...]
    grammar: str = ""
    triggers: Triggers | None = None
    shown: frozenset[int] = frozenset()
    stop: tuple[str, ...] = ()

    def parser(self) -> AnswerParser:
        """A new one, for one answer to this prompt."""
        return PlainParser()


class PromptBuilder:
    """Renders conversations for one model. `template` replaces the model's own. Raises `TemplateFailed`.

    `thinks` and `takes_tools` say what the template knows.
    """

    def __init__(self, model: Tokenizer, system: str | None, template: str | None = None) -> None:
        facts = model.facts
        self._model = model
        self._system = system
        self.template = template or facts.chat_template or CHATML
        self.thinks = "think" in self.template
        self.takes_tools = "tools" in self.template
        self._template = ChatTemplate(self.template, facts.bos, facts.eos)

    def prepare(self, conversation: Conversation) -> Prepared:
        """The prompt; a conversation that brings no system prompt begins with the default one, if there is any.

        Raises `TemplateFailed`, `ToolsUnsupported`, `AnswerFormConflict` and `SchemaUnsupported`.
        """
        text = self._render(conversation.messages, [_as_openai_has_it(tool) for tool in conversation.tools])
        grammar = conversation.grammar if conversation.schema is None else grammar_of(conversation.schema)
        return Prepared(text, self._tokens(text), grammar)

    def tokens(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> tuple[int, ...]:
        """The prompt's tokens alone; `tools` in OpenAI's form."""
        return self._tokens(self._render(messages, tools))

    def _render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> str:
        if self._system and not any(message.role in ("system", "developer") for message in messages):
            messages = [Message("system", self._system), *messages]
        return self._template.render(messages, tools)

    def _tokens(self, text: str) -> tuple[int, ...]:
        facts = self._model.facts
        if facts.adds_bos:
            text = text.removeprefix(facts.bos)  # the tokenizer adds it, a template may have, once is right
        return self._model.tokenize(text, add_special=True, parse_special=True)


def _as_openai_has_it(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
