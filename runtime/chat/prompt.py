"""A conversation into the tokens of a prompt.

Imported when the first conversation comes: Jinja2 takes longer to import than a server may take to start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from runtime.chat.messages import Message
from runtime.chat.template import CHATML, ChatTemplate
from runtime.engine.backend import ModelFacts


class Tokenizer(Protocol):
    """What is needed of a model: its facts and its vocabulary."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> tuple[int, ...]: ...


class PromptBuilder:
    """Renders conversations for one model. Raises `TemplateFailed`."""

    def __init__(self, model: Tokenizer, system: str | None) -> None:
        facts = model.facts
        self._model = model
        self._system = system
        self._template = ChatTemplate(facts.chat_template or CHATML, facts.bos, facts.eos)

    def tokens(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> tuple[int, ...]:
        """The prompt; a conversation that brings no system prompt begins with the default one, if there is any."""
        if self._system and not any(message.role in ("system", "developer") for message in messages):
            messages = [Message("system", self._system), *messages]
        text = self._template.render(messages, tools)
        facts = self._model.facts
        if facts.adds_bos:
            text = text.removeprefix(facts.bos)  # the tokenizer adds it, a template may have, once is right
        return self._model.tokenize(text, add_special=True, parse_special=True)
