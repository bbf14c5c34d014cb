"""A model's chat template: Jinja2, sandboxed, with what Hugging Face's templates expect to find.

A template comes with the weights, so it is not trusted: it runs in Jinja2's immutable sandbox and sees nothing but
the conversation. Knows how to render; refuses to know which model it is for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime.chat.errors import TemplateFailed
from runtime.chat.messages import Message

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""What a model without a template of its own is given, as in llama-server."""


class ChatTemplate:
    """A parsed template. `bos` and `eos` are the texts of the model's own tokens. Raises `TemplateFailed`."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        self._tokens = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateFailed(str(error)) from error

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The prompt that ends where the assistant's answer begins. `tools` are in OpenAI's form."""
        try:
            text: str = self._template.render(
                messages=[_as_template_sees(message) for message in messages],
                tools=list(tools) or None,
                add_generation_prompt=True,
                **self._tokens,
            )
            return text
        except Exception as error:  # whatever a template does, it is the template's
            raise TemplateFailed(str(error)) from error


def _as_template_sees(message: Message) -> dict[str, Any]:
    """The dictionary that templates index: absent parts are left out, so that `is defined` works."""
    seen: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        seen["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        seen["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        seen["name"] = message.name
    return seen


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """As `transformers` defines it: no HTML escapes, unlike Jinja2's own."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> str:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
