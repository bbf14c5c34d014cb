"""A model's chat template: a conversation into text.

A template comes with the weights, so it is not trusted: it runs in a sandbox, sees nothing but the conversation, and
may do so much and no more. Knows how to render; refuses to know which model it is for and what it can do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import jinja2

from runtime.chat.budget import Budget, size
from runtime.chat.errors import TemplateFailed
from runtime.chat.sandbox import ChatEnvironment

_UNITS, _UNITS_OF_CHARACTER, _UNITS_OF_MESSAGE = 20_000_000, 32, 20_000
"""What a template may spend (`Budget`): about two seconds, and more for long conversations."""

Rendered = Mapping[str, Any]
"""A message or a tool as templates index it; in OpenAI's form."""


class ChatTemplate:
    """A parsed template. `bos` and `eos` are the texts of the model's own tokens. Raises `TemplateFailed`."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        self.source = source
        self._environment = ChatEnvironment()
        self._tokens = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateFailed(str(error)) from error

    def render(
        self,
        messages: Sequence[Rendered],
        tools: Sequence[Rendered] | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        opens_answer: bool = True,
    ) -> str:
        """The prompt; one that ends where the assistant's answer begins, if the template is to say so.

        `values` are what else the template may ask for.
        """
        given = {
            **self._tokens,
            **(values or {}),
            "messages": list(messages),
            "tools": None if tools is None else list(tools),
            "documents": None,
            # what firefunction's asks for, in llama.cpp's words; a day, so that prompts begin alike until tomorrow
            "functions": json.dumps(list(tools), ensure_ascii=False) if tools else "",
            "datetime": f"{date.today():%b %d %Y}",
            "add_generation_prompt": opens_answer,
        }
        budget = Budget(_UNITS + _UNITS_OF_CHARACTER * _characters_in(given) + _UNITS_OF_MESSAGE * len(messages))
        try:
            with self._environment.spending(budget, given["messages"], given["tools"] or ()):
                text: str = self._template.render(given)
        except Exception as error:  # whatever a template does, it is the template's
            raise TemplateFailed(str(error)) from error
        return text


def _characters_in(value: Any) -> int:
    count = 0
    todo = [value]
    while todo:
        value = todo.pop()
        count += size(value)
        if isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
    return count
